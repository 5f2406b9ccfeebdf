package sinks

// Kinds are all the kinds of sinks by name, each with a function that gives
// its options at their defaults. A new kind is one file and one line here.
func Kinds() map[string]func() Options {
	return map[string]func() Options{
		"file":   NewFileOptions,
		"kafka":  NewKafkaOptions,
		"nats":   NewNATSOptions,
		"stdout": NewStdoutOptions,
	}
}
