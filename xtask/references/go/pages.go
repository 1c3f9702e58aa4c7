package main

import (
	"bytes"
	_ "embed"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"html/template"
	"os"
	"path/filepath"
	"strings"
)

//go:embed page.html
var page string

// A writer puts one library on a page.
type writer struct {
	library
	module string
	index  bool
	all    []library
}

// write makes a page for each library, and one that lists them.
func write(folder, module string, libraries []library) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := (&writer{module: module, index: true, all: libraries}).write(filepath.Join(folder, "index.html")); err != nil {
		return err
	}
	for _, library := range libraries {
		writer := &writer{library: library, module: module, all: libraries}
		if err := writer.write(filepath.Join(folder, file(module, library.ImportPath))); err != nil {
			return err
		}
	}
	return nil
}

// file names the page of a package of the module.
func file(module, importPath string) string {
	below := strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
	if below == "" {
		return "module.html"
	}
	return strings.ReplaceAll(below, "/", "-") + ".html"
}

func (w *writer) write(path string) error {
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"code":  w.code,
		"file":  func(importPath string) string { return file(w.module, importPath) },
		"index": func() bool { return w.index },
		"text":  w.text,
	}).Parse(page)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, w); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// Title heads the page.
func (w *writer) Title() string {
	if w.index {
		return w.module
	}
	return "package " + w.Name
}

// Libraries are all of the module.
func (w *writer) Libraries() []library { return w.all }

// Summary is the first sentence of a package.
func (l library) Summary() string { return l.Package.Synopsis(l.Package.Doc) }

// text is a comment as HTML, with links to what it names.
func (w *writer) text(text string) template.HTML {
	printer := w.Printer()
	printer.HeadingLevel = 3
	printer.DocLinkURL = func(link *comment.DocLink) string {
		page := ""
		switch {
		case link.ImportPath == "" || link.ImportPath == w.ImportPath:
		case link.ImportPath == w.module || strings.HasPrefix(link.ImportPath, w.module+"/"):
			page = file(w.module, link.ImportPath)
		default:
			return link.DefaultURL("https://pkg.go.dev/")
		}
		anchor := link.Name
		if link.Recv != "" {
			anchor = link.Recv + "." + link.Name
		}
		if anchor == "" {
			return page
		}
		return page + "#" + anchor
	}
	return template.HTML(printer.HTML(w.Parser().Parse(text)))
}

// code is a declaration or the body of an example, as gofmt has it.
func (w *writer) code(node any) (string, error) {
	if example, is := node.(*doc.Example); is {
		node = example.Code
	}
	var out bytes.Buffer
	if err := format.Node(&out, w.files, node); err != nil {
		return "", err
	}
	text := out.String()
	if _, is := node.(*ast.BlockStmt); is {
		text = strings.Trim(strings.Trim(text, "{}"), "\n")
		text = strings.ReplaceAll(strings.TrimPrefix(text, "\t"), "\n\t", "\n")
	}
	return text, nil
}
