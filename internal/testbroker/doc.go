// Package testbroker runs a real Apache Kafka for tests: one node, broker and controller in one (KRaft), on loopback ports, from
// the artifacts of Maven Central. It knows nothing of ctferry and only tests may import it.
//
// The first use on a machine downloads the jars with mvn, formats an empty storage folder once and dumps Java's class data archive;
// all three stay in the user's cache folder, so that a later start is a copy of two small files and one JVM. The processes of several
// test packages share the cache under a file lock, and each starts a broker of its own.
//
// No broker outlives its test: the kernel kills it when the test process dies, however it dies (see process). A Kafka owns its data
// folder, which Stop removes; the folder of a test process that was killed is removed by the next start.
//
// Every wait is bounded by a context or by a constant of this package. The methods of Kafka and Shared may be called from several goroutines.
package testbroker
