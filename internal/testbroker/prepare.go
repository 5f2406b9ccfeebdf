package testbroker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clusterID is the same for every broker: clusters of one node on ports of their own never meet.
const clusterID = "Y3RmZXJyeS10ZXN0LWJyaw"

// formatArguments are those of kafka.tools.StorageTool: an empty storage in which User can log in with SCRAM.
// (PLAIN's users are in the configuration, not in the storage.)
func formatArguments(properties string) []string {
	args := []string{"format", "--cluster-id", clusterID, "--config", properties}
	for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s,iterations=4096]", m, User, Password))
	}
	return args
}

// format makes the storage that every broker starts from. Ports and paths are not in it, so one serves all, and a start
// saves a JVM (1.4 s).
func (d *Distribution) format(ctx context.Context) error {
	properties := d.file("format.properties")
	storage := d.file(formattedFolder)
	if err := os.WriteFile(properties, configuration(ports{controller: 1, Plaintext: 2}, storage, Certificates{}, nil), 0o644); err != nil {
		return err
	}
	classPath, err := d.classPath()
	if err != nil {
		return err
	}
	args := append([]string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=" + d.file("log4j2.xml"),
		"-cp", classPath, "kafka.tools.StorageTool"}, formatArguments(properties)...)
	return d.run(ctx, "format storage", exec.Command(d.java, args...))
}

// archive is the path of the class data archive (JEP 350) for this java; a java in another place or of another date gets its own.
func (d *Distribution) archive() string {
	java, err := filepath.EvalSymlinks(d.java)
	if err != nil {
		java = d.java
	}
	var date time.Time
	if info, err := os.Stat(java); err == nil {
		date = info.ModTime()
	}
	hash := sha256.Sum256(fmt.Append(nil, java, date.UnixNano()))
	return d.file(fmt.Sprintf("classes-%x.jsa", hash[:4]))
}

// dumpClasses starts a broker once and has Java write the classes that it loaded to the archive, which halves the time of every start.
// A java that cannot do that leaves no archive; an empty file takes its place, which Java passes over.
func (d *Distribution) dumpClasses(ctx context.Context) error {
	fresh := d.archive() + ".partial"
	k, err := d.start(ctx, Options{}, []string{"-XX:ArchiveClassesAtExit=" + fresh})
	if err != nil {
		return err
	}
	if err := errors.Join(k.useListeners(ctx), k.stopWithin(dumpWait)); err != nil {
		return fmt.Errorf("first run: %w", err)
	}
	if !exists(fresh) {
		if err := os.WriteFile(fresh, nil, 0o644); err != nil {
			return err
		}
	}
	return os.Rename(fresh, d.archive())
}

// useListeners asks once through every listener, so that the classes of TLS and SASL are among those loaded.
func (k *Kafka) useListeners(ctx context.Context) error {
	for l := range listeners() {
		if _, err := k.metadata(ctx, l, ScramSHA256); err != nil {
			return fmt.Errorf("listener %s: %w", l, err)
		}
	}
	return nil
}

// dumpWait is how long the first broker may take to end: it writes 50 MB of archive, 5 s on two slow cores.
const dumpWait = 2 * time.Minute
