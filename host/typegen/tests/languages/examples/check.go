// Reads an object from standard input with the generated types, and writes it again.
package main

import (
	"io"
	"os"

	windlass "github.com/windlass-dev/windlass/sdk/go"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err == nil {
		var gadget *Gadget
		if gadget, err = windlass.Decode[*Gadget](body); err == nil {
			body, err = windlass.Encode(gadget)
		}
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(body)
}
