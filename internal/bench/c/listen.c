/* The bare baseline: receives ctnetlink events and throws them away.
 *
 *	listen BYTES
 *
 * It joins the groups new, update and destroy, has a receive buffer of BYTES
 * and NETLINK_NO_ENOBUFS, and calls recv(2) for each datagram. On SIGTERM it
 * takes what is queued and prints "received N lost M": its own count, and the
 * socket's drop counter (SO_MEMINFO). */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sock_diag.h>

static volatile sig_atomic_t ended;

static void end(int sig) { (void)sig; ended = 1; }

static int fail(const char *what) { perror(what); return 1; }

int main(int argc, char **argv)
{
	static char buf[8192];
	uint32_t mem[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof mem;
	int groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY};
	struct sigaction act = {.sa_handler = end}; /* no SA_RESTART: recv must return */
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int one = 1, size = argc > 1 ? atoi(argv[1]) : 16 << 20;
	unsigned long received = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

	size /= 2; /* the kernel doubles it */
	if (fd < 0)
		return fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size))
		return fail("SO_RCVBUF");
	if (setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one))
		return fail("NETLINK_NO_ENOBUFS");
	if (bind(fd, (struct sockaddr *)&addr, sizeof addr))
		return fail("bind");
	sigaction(SIGTERM, &act, NULL);
	for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]))
			return fail("NETLINK_ADD_MEMBERSHIP");
	while (!ended)
		if (recv(fd, buf, sizeof buf, 0) > 0)
			received++;
	while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
		received++;
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return fail("SO_MEMINFO");
	printf("received %lu lost %u\n", received, mem[SK_MEMINFO_DROPS]);
	return 0;
}
