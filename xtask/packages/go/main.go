// Command packages makes a folder of one module, as a proxy serves it, of the module's
// sources.
//
//	packages FOLDER_OF_MODULE VERSION FOLDER_OF_PROXY
//
// It fails where a proxy would refuse the module: names, sizes, and a path that does not fit.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: packages FOLDER_OF_MODULE VERSION FOLDER_OF_PROXY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, version, proxy string) error {
	manifest, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return err
	}
	this := module.Version{Path: modfile.ModulePath(manifest), Version: version}
	if err := module.Check(this.Path, this.Version); err != nil {
		return err
	}
	escaped, err := module.EscapePath(this.Path)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := zip.CreateFromDir(&packed, this, folder); err != nil {
		return err
	}
	versions := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	// The time is of no interest, but there has to be one.
	info := fmt.Sprintf(`{"Version": %q, "Time": "2026-01-01T00:00:00Z"}`, version)
	for name, content := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(info),
		version + ".mod":  manifest,
		version + ".zip":  packed.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
