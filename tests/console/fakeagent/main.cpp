// fakeagent SOCKET [HISTORY]: a synthetic group on a unix socket until it is ended, to look at the console
// without a server.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/console/fakeagent/synthetic_agent.hpp"
#include "tests/console/fakeagent/synthetic_group.hpp"

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: fakeagent SOCKET [SECONDS OF HISTORY]\n");
        return 2;
    }
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    signalbox::test::SyntheticAgentOptions options;
    options.pace = std::chrono::seconds(1);
    options.history = argc > 2 ? std::atoi(argv[2]) : 300;
    signalbox::test::SyntheticAgent agent(argv[1], options);
    int signal = 0;
    sigwait(&ending, &signal);
}
