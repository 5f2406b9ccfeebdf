package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

const decodeHelp = `Decode records that a file sink wrote, in any format, to JSON lines. The format
and the compression (gzip, zstd) are told from the first bytes; --from says it
where that fails. FILE may be - for standard input.

  ctferry decode flows.pb
  zcat flows.xml.gz | ctferry decode --from xml -`

func newDecode() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "decode FILE", Short: "Turn protobuf or XML records into JSON lines", Long: decodeHelp, Args: exactly(1, "one FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			in, name, err := openInput(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			defer in.Close()
			return decodeRecords(in, name, from, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&from, "from", "", "`FORMAT` of the records: json, xml or protobuf")
	addCompletions(c, nil)
	return c
}

func openInput(name string, stdin io.Reader) (io.ReadCloser, string, error) {
	if name == "-" {
		return io.NopCloser(stdin), "standard input", nil
	}
	f, err := os.Open(name)
	return f, name, err
}

// decodeRecords turns every record of r into a line of JSON. A torn or wrong
// record ends it with an error that names its place; what stood before is written.
func decodeRecords(r io.Reader, name, from string, out io.Writer) error {
	plain, err := decompress(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	format, taken, err := formatOf(plain, from)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 64<<10)
	if err := transcode(plain, format, w); err != nil {
		return errors.Join(w.Flush(), fmt.Errorf("%s%s: %w", name, taken, err))
	}
	return w.Flush()
}

func transcode(r io.Reader, format encode.Format, w io.Writer) error {
	dec, enc := format.NewDecoder(), encode.Formats()["json"].NewEncoder(encode.Projection{}.WithTold())
	batch := flow.NewBatch(1)
	var line []byte
	records := encode.Records(r, format.Framing)
	for n := 1; ; n++ {
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		batch.Reset()
		if err := dec.Decode(batch, record); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		line = append(enc.Append(line[:0], &batch.Events()[0]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
}

// decompress looks at the first bytes for a known magic.
func decompress(r *bufio.Reader) (*bufio.Reader, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return bufio.NewReader(z), nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		return bufio.NewReader(z), nil
	}
	return r, nil
}

// formatOf is the format that was asked for, or the one that the first byte shows.
// What is neither JSON nor XML is taken for protobuf, and errors are to say so: it
// may be no records at all.
func formatOf(r *bufio.Reader, asked string) (format encode.Format, taken string, err error) {
	if asked == "" {
		head, err := r.Peek(1)
		switch {
		case err != nil || head[0] == '{':
			asked = "json"
		case head[0] == '<':
			asked = "xml"
		default:
			asked, taken = "protobuf", ", taken for protobuf"
		}
	}
	format, ok := encode.Formats()[asked]
	if !ok {
		return encode.Format{}, "", usageError{fmt.Errorf("--from: %q is not known: expected json, xml or protobuf", asked)}
	}
	return format, taken, nil
}
