package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks/spool"
)

const spoolHelp = `Tell how the spool is: its segments, and for each sink how many records wait for
it (lag), since when the oldest of them waits (age), and what it has lost. It
changes nothing and may be asked while the service runs. What stands under
SINK.memory was in that sink's memory at the last stop, with mode overflow, and is
delivered first.

  ctferry spool status -c /etc/ctferry/ctferry.yaml
  ctferry spool status --dir /var/lib/ctferry/spool --json

Exit codes: 0, 1 when there is no spool or it cannot be read, 2 when the command
line or the configuration is wrong.`

func newSpool() *cobra.Command {
	c := &cobra.Command{
		Use: "spool", Short: "Look at the records that wait on disk", Args: exactly(0, "a command such as status"),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSpoolStatus())
	return c
}

func newSpoolStatus() *cobra.Command {
	var flags configFlags
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use: "status [-c FILE | --dir DIR]", Short: "Segments, and where each sink stands", Long: spoolHelp, Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if dir != "" && flags.file != "" {
				return usageError{errors.New("--config and --dir exclude each other: expected one of them")}
			}
			where := spool.Config{Dir: dir}
			if dir == "" {
				var err error
				if where, err = configuredSpool(flags); err != nil {
					return err
				}
			}
			st, err := spool.ReadStatus(where.Dir)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no spool in %s", where.Dir)
			}
			if err != nil {
				return err
			}
			st.Max, st.MinFree = where.Max, where.MinFree
			return tellSpool(c.OutOrStdout(), &st, asJSON, time.Now())
		},
	}
	c.Flags().StringVarP(&flags.file, "config", "c", "", "configuration `FILE` that says where the spool is")
	c.Flags().StringVar(&dir, "dir", "", "`DIR` of the spool, in the place of a configuration")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	flags.add(c)
	addCompletions(c, &flags)
	return c
}

// configuredSpool says where the configuration has the spool, and its bounds.
func configuredSpool(flags configFlags) (spool.Config, error) {
	cfg, err := loadConfig(flags.input())
	if err != nil {
		return spool.Config{}, err
	}
	return spool.Config{Dir: cfg.Spool.Dir, Max: int64(cfg.Spool.Max), MinFree: int64(cfg.Spool.MinFree)}, nil
}

// tellSpool prints a status; ages are those at the time now.
func tellSpool(out io.Writer, st *spool.Status, asJSON bool, now time.Time) error {
	if asJSON {
		return json.NewEncoder(out).Encode(st)
	}
	fmt.Fprintf(out, "%s: %d segments, %s%s, %s free%s\n", st.Dir, st.Segments, about(st.Bytes), bound(" of", st.Max), about(st.Free), bound(", keeps", st.MinFree))
	fmt.Fprintf(out, "%d records in %d frames ever stored\n", st.Records, st.Frames)
	if st.Damaged {
		fmt.Fprintln(out, "the file of cursors is damaged: every sink will begin with the oldest frame")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "sink\tnext frame\tlag\tbytes\tage\tdropped\tdamaged\trefused\t")
	for i := range st.Cursors {
		c := &st.Cursors[i]
		age := "-"
		if !c.Oldest.IsZero() {
			age = max(now.Sub(c.Oldest), 0).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t%d\t%d\t\n", c.Name, c.Next, c.Lag.Records, about(int64(c.Lag.Bytes)), age,
			c.Losses.Dropped.Records, c.Losses.Damaged.Records, c.Losses.Refused.Records)
	}
	return w.Flush()
}

func bound(what string, bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return what + " " + option.Size(bytes).String()
}

// about gives a number of bytes to one digit behind the point.
func about(bytes int64) string {
	n := float64(bytes)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			if unit == "B" {
				return fmt.Sprintf("%d B", bytes)
			}
			return fmt.Sprintf("%.1f %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.1f TiB", n)
}
