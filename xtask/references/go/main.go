// Command references makes the reference of a Go module as static pages, and fails if an
// exported name has no comment, or a link in a comment leads nowhere.
//
//	references FOLDER_OF_MODULE FOLDER_FOR_PAGES
//
// It reads what a native build compiles, and leaves out internal packages, programs and
// modules within the module.
package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A library is a package to be documented.
type library struct {
	*doc.Package
	files *token.FileSet
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: references FOLDER_OF_MODULE FOLDER_FOR_PAGES"))
	}
	module, err := modulePath(os.Args[1])
	fail(err)
	libraries, err := read(os.Args[1], module)
	fail(err)
	if complaints := check(libraries); len(complaints) > 0 {
		fail(fmt.Errorf("%s", strings.Join(complaints, "\n")))
	}
	fail(write(os.Args[2], module, libraries))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

func modulePath(folder string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return "", err
	}
	found := moduleLine.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s/go.mod names no module", folder)
	}
	return string(found[1]), nil
}

// read finds the packages of a module, in the order of their folders.
func read(root, module string) ([]library, error) {
	var libraries []library
	err := filepath.WalkDir(root, func(folder string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if folder != root && isApart(folder) {
			return filepath.SkipDir
		}
		below, err := filepath.Rel(root, folder)
		if err != nil {
			return err
		}
		found, err := open(folder, path.Join(module, filepath.ToSlash(below)))
		if found != nil {
			libraries = append(libraries, *found)
		}
		return err
	})
	return libraries, err
}

// isApart tells whether what is in a folder is for nobody else to import.
func isApart(folder string) bool {
	name := filepath.Base(folder)
	if strings.HasPrefix(name, ".") || name == "internal" || name == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// open reads the package in a folder; nothing if there is none, or a program.
func open(folder, importPath string) (*library, error) {
	found, err := build.ImportDir(folder, 0)
	if _, none := err.(*build.NoGoError); none || err == nil && found.IsCommand() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	var files []*ast.File
	// The tests are there for the examples in them.
	for _, names := range [][]string{found.GoFiles, found.TestGoFiles, found.XTestGoFiles} {
		for _, name := range names {
			file, err := parser.ParseFile(set, filepath.Join(folder, name), nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
	}
	read, err := doc.NewFromFiles(set, files, importPath)
	if err != nil {
		return nil, err
	}
	return &library{read, set}, nil
}
