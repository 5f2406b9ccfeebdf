package testbroker

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed assets/pom.xml assets/tools.xml assets/log4j2.xml
var assets embed.FS

// Distribution is a Kafka that is ready to start: jars, a formatted storage folder and a class data archive in the user's cache.
// It is read only and may be shared by any number of brokers and processes.
type Distribution struct {
	dir  string // …/ctferry/kafka-<version>-<hash of the assets>
	java string
}

// Install returns the distribution in os.UserCacheDir()/ctferry and makes it first if it is not there, which takes mvn, java and the
// network. Processes that come at the same time wait for the one that works. An unfinished install is never seen by others.
func Install(ctx context.Context) (*Distribution, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("kafka needs java: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("kafka needs a cache folder: %w", err)
	}
	return installIn(ctx, filepath.Join(cache, "ctferry"), java)
}

func installIn(ctx context.Context, home, java string) (*Distribution, error) {
	name, err := distributionName()
	if err != nil {
		return nil, err
	}
	d := &Distribution{dir: filepath.Join(home, name), java: java}
	if d.complete() {
		return d, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	held, err := lock(ctx, filepath.Join(home, "kafka.lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another process to install kafka: %w", err)
	}
	defer held.Close() //nolint:errcheck // gives the lock back; nothing was written
	if d.complete() {
		return d, nil
	}
	if err := d.install(ctx, home); err != nil {
		return nil, fmt.Errorf("install %s: %w", name, err)
	}
	return d, nil
}

// complete tells whether nothing is left to be made: the folder appears under its name with jars and storage, the archive comes last.
func (d *Distribution) complete() bool {
	return exists(d.file(jarsFolder)) && exists(d.archive())
}

func (d *Distribution) install(ctx context.Context, home string) error {
	if !exists(d.file(jarsFolder)) {
		partial, err := os.MkdirTemp(home, "partial-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(partial) //nolint:errcheck // after the rename there is nothing left to remove
		half := &Distribution{dir: partial, java: d.java}
		if err := half.download(ctx); err != nil {
			return err
		}
		if err := half.format(ctx); err != nil {
			return err
		}
		if err := os.Rename(partial, d.dir); err != nil {
			return err
		}
	}
	// Java checks the archive against the jars' paths, so it is made after the rename.
	return d.dumpClasses(ctx)
}

// download has Maven copy Kafka and all that it depends on.
func (d *Distribution) download(ctx context.Context) error {
	if err := writeAsset("log4j2.xml", d.file("log4j2.xml")); err != nil {
		return err
	}
	return copyJars(ctx, "pom.xml", d.dir)
}

// copyJars has Maven copy the jars that the project of that name among the assets depends on, into dir's folder for them.
func copyJars(ctx context.Context, project, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("download needs maven: %w", err)
	}
	pom := filepath.Join(dir, "pom.xml")
	if err := writeAsset(project, pom); err != nil {
		return err
	}
	cmd := exec.Command(mvn, "--quiet", "--batch-mode", "--file", pom,
		"org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies", "-DincludeScope=runtime",
		"-DoutputDirectory="+filepath.Join(dir, jarsFolder))
	return runTool(ctx, "maven", dir, cmd)
}

func writeAsset(name, path string) error {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// run runs a tool of the installation to its end.
func (d *Distribution) run(ctx context.Context, what string, cmd *exec.Cmd) error {
	return runTool(ctx, what, d.dir, cmd)
}

// runTool runs a tool in dir to its end; what it said becomes part of the error.
func runTool(ctx context.Context, what, dir string, cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Dir = &said, &said, dir
	cmd.WaitDelay = killWait
	if err := runProcess(ctx, cmd); err != nil {
		return fmt.Errorf("%s: %w\n%s", what, err, tail(said.String()))
	}
	return nil
}

func (d *Distribution) file(name string) string {
	return filepath.Join(d.dir, name)
}

const (
	jarsFolder      = "jars"
	formattedFolder = "formatted"
)

// classPath lists the jars one by one and in order: Java accepts the class data archive only for the very path it was made with.
func (d *Distribution) classPath() (string, error) { return classPathOf(d.file(jarsFolder)) }

func classPathOf(folder string) (string, error) {
	jars, err := filepath.Glob(filepath.Join(folder, "*.jar"))
	if err != nil || len(jars) == 0 {
		return "", fmt.Errorf("%s: no jars in it (%w)", folder, errors.Join(err, os.ErrNotExist))
	}
	slices.Sort(jars)
	return strings.Join(jars, ":"), nil
}

// distributionName is the version from pom.xml and a hash of all that decides what the folder holds, so that a change makes a new one.
func distributionName() (string, error) {
	pom, err := assets.ReadFile("assets/pom.xml")
	if err != nil {
		return "", err
	}
	log, err := assets.ReadFile("assets/log4j2.xml")
	if err != nil {
		return "", err
	}
	var project struct {
		Version string `xml:"version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil {
		return "", fmt.Errorf("assets/pom.xml: %w", err)
	}
	hash := sha256.New()
	for _, part := range [][]byte{pom, log, []byte(strings.Join(formatArguments("server.properties"), " "))} {
		hash.Write(part)
	}
	return fmt.Sprintf("kafka-%s-%x", project.Version, hash.Sum(nil)[:4]), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
