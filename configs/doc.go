// Package configs loads the configuration: defaults, a file, the files of
// conf.d beside it, the environment and --set, in that order, strictly. What
// comes out is typed and checked; what is wrong is named with its file, line
// and column, all of it at once. It must never open a socket or a sink.
//
// The way of a value: a document (yaml.go) notes where every key stands; layers
// merge them (maps merge, lists replace); decode fills structs by their koanf
// tags; the structs' own Validate methods judge; every fault then gets the
// place where its key was set last.
package configs
