// Package budget holds the data path to what it may cost, in figures that do not
// depend on how fast the machine is or who else uses it: allocations, statements
// executed, bytes encoded and writes an event, from the kernel's socket to the
// file. It is tests only. A figure that grows past its budget fails the build; one that
// has shrunk well below it should have its budget lowered, or the gain can be lost
// again unseen.
package budget
