package configs

import (
	"errors"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
)

// parseFilter reads a filter; its faults become the configuration's.
func parseFilter(v any) (flow.Filter, error) {
	f, err := flow.ParseFilter(v)
	if err == nil {
		return *f, nil
	}
	var faults flow.Faults
	if !errors.As(err, &faults) {
		return flow.Filter{}, err
	}
	var fs option.Faults
	for _, fault := range faults {
		fs.Add(fault.Path, fault.Text)
	}
	return flow.Filter{}, fs
}
