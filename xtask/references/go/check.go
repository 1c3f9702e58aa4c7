package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/token"
	"regexp"
	"strings"
)

// A checker collects what is wrong with the comments of a library.
type checker struct {
	library
	// By import path, each exported name of the module: `Name`, `Type.Method` or `Type.Field`.
	known      map[string]map[string]bool
	complaints []string
}

func check(libraries []library) []string {
	known := make(map[string]map[string]bool)
	for _, library := range libraries {
		known[library.ImportPath] = names(library.Package)
	}
	var complaints []string
	for _, library := range libraries {
		checker := checker{library: library, known: known}
		checker.all()
		complaints = append(complaints, checker.complaints...)
	}
	return complaints
}

func names(read *doc.Package) map[string]bool {
	names := make(map[string]bool)
	values := func(values []*doc.Value) {
		for _, value := range values {
			for _, name := range value.Names {
				names[name] = true
			}
		}
	}
	funcs := func(prefix string, funcs []*doc.Func) {
		for _, function := range funcs {
			names[prefix+function.Name] = true
		}
	}
	values(read.Consts)
	values(read.Vars)
	funcs("", read.Funcs)
	for _, declared := range read.Types {
		names[declared.Name] = true
		values(declared.Consts)
		values(declared.Vars)
		funcs("", declared.Funcs)
		funcs(declared.Name+".", declared.Methods)
		for _, member := range members(declared) {
			for _, name := range member.Names {
				names[declared.Name+"."+name.Name] = true
			}
		}
	}
	return names
}

// members are the fields of a struct, or the methods of an interface.
func members(declared *doc.Type) []*ast.Field {
	for _, spec := range declared.Decl.Specs {
		switch shape := spec.(*ast.TypeSpec).Type.(type) {
		case *ast.StructType:
			return shape.Fields.List
		case *ast.InterfaceType:
			return shape.Methods.List
		}
	}
	return nil
}

func (c *checker) all() {
	c.text(c.Package.Doc, c.Name, token.NoPos)
	c.values(c.Consts)
	c.values(c.Vars)
	c.funcs("", c.Funcs)
	for _, declared := range c.Types {
		c.text(declared.Doc, declared.Name, declared.Decl.Pos())
		c.members(declared)
		c.values(declared.Consts)
		c.values(declared.Vars)
		c.funcs("", declared.Funcs)
		c.funcs(declared.Name+".", declared.Methods)
	}
}

func (c *checker) members(declared *doc.Type) {
	for _, member := range members(declared) {
		for _, name := range member.Names {
			if !name.IsExported() {
				continue
			}
			c.text(member.Doc.Text()+member.Comment.Text(), declared.Name+"."+name.Name, name.Pos())
		}
	}
}

// values accepts a comment of the group in the place of one for each name.
func (c *checker) values(values []*doc.Value) {
	for _, value := range values {
		for _, spec := range value.Decl.Specs {
			spec := spec.(*ast.ValueSpec)
			text := spec.Doc.Text() + spec.Comment.Text()
			for _, name := range spec.Names {
				if name.IsExported() {
					c.text(value.Doc+text, name.Name, name.Pos())
				}
			}
		}
	}
}

func (c *checker) funcs(prefix string, funcs []*doc.Func) {
	for _, function := range funcs {
		c.text(function.Doc, prefix+function.Name, function.Decl.Pos())
	}
}

// text looks for the comment of a name, and into it.
func (c *checker) text(text, name string, at token.Pos) {
	if strings.TrimSpace(text) == "" {
		c.complain(at, "%s has no comment", name)
		return
	}
	for _, block := range c.Parser().Parse(text).Content {
		c.block(block, name, at)
	}
}

func (c *checker) block(block comment.Block, name string, at token.Pos) {
	switch block := block.(type) {
	case *comment.Paragraph:
		c.line(block.Text, name, at)
	case *comment.Heading:
		c.line(block.Text, name, at)
	case *comment.List:
		for _, item := range block.Items {
			for _, block := range item.Content {
				c.block(block, name, at)
			}
		}
	}
}

// A link that the parser does not take for one stays plain text. After a name it is a type's
// argument.
var deadLink = regexp.MustCompile(`(?:^|\W)\[(\*?(?:[a-z][\w/]*\.)?[A-Z]\w*(?:\.\w+)?)\]`)

func (c *checker) line(texts []comment.Text, name string, at token.Pos) {
	for _, text := range texts {
		switch text := text.(type) {
		case comment.Plain:
			for _, dead := range deadLink.FindAllStringSubmatch(string(text), -1) {
				c.complain(at, "%s: there is no [%s]", name, dead[1])
			}
		case *comment.DocLink:
			target := text.Name
			if text.Recv != "" {
				target = text.Recv + "." + text.Name
			}
			// Of other modules nothing is known here.
			known := c.known[text.ImportPath]
			if known != nil && target != "" && !known[target] {
				c.complain(at, "%s: there is no [%s.%s]", name, text.ImportPath, target)
			}
		}
	}
}

func (c *checker) complain(at token.Pos, format string, arguments ...any) {
	place := c.ImportPath
	if at.IsValid() {
		place = c.files.Position(at).String()
	}
	c.complaints = append(c.complaints, place+": "+fmt.Sprintf(format, arguments...))
}
