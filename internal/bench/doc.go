// Command bench measures what ctferry costs, against the cheapest program that
// could be written (a bare recv loop in C that throws the events away), against
// the same in Go, and against conntrack(8) and ulogd2 where they are installed.
// "make bench" runs it; it is no part of the product.
//
// Every measure is a row. A row runs its subjects in turn, round after round,
// so that each figure has one of the baseline's from the same seconds beside it:
// only ratios mean something on a machine that others use too. A subject is a
// process of its own on a CPU of its own, in a network namespace that is made
// for one sample; the load generator runs on another CPU, and its own CPU time is
// measured as well. Counts are exact: what was made, what was received, and what
// the kernel says it lost must add up, or the sample is an error.
//
// CPU is the whole process's (all threads, user and system), in nanoseconds,
// from just before the load until the process is at rest; what it costs to
// start is not in it. Work that the kernel does elsewhere (writeback, the event
// filter, which runs in the generator) is not in it either.
//
// It must never know how ctferry works inside: it sees a binary, its
// configuration, its log and its files. It touches only namespaces, files and
// processes that it made itself.
package main
