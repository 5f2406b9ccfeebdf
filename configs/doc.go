// Package configs loads the configuration: defaults, a file, the files of
// conf.d beside it, the environment and --set, in that order, strictly. What
// comes out is typed and checked; what is wrong is named with its file, line
// and column, all of it at once. It must never open a socket or a sink.
package configs
