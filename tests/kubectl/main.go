// Command kubectl is the current kubectl, built from the published module, because
// distributions package old ones and the tests want the requests of today's.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
