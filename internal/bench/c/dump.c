/* The bare baseline of a dump: asks for the whole table, counts the messages
 * and throws them away. It prints "received N lost 0". */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static int fail(const char *what) { perror(what); return 1; }

int main(void)
{
	static char buf[32768] __attribute__((aligned(8)));
	struct { struct nlmsghdr h; struct nfgenmsg g; } ask = {
		.h = {.nlmsg_len = sizeof ask, .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};
	unsigned long received = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

	if (fd < 0)
		return fail("socket");
	if (send(fd, &ask, sizeof ask, 0) < 0)
		return fail("send");
	for (;;) {
		long n = recv(fd, buf, sizeof buf, 0);
		if (n < 0)
			return fail("recv");
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE) {
				printf("received %lu lost 0\n", received);
				return 0;
			}
			if (h->nlmsg_type == NLMSG_ERROR)
				return fail("dump");
			received++;
		}
	}
}
