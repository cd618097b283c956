// The servers that are measured: mailroom, and nginx beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/child.hpp"

namespace bench {

/// A server under measurement, and the port of 127.0.0.1 that it listens at.
struct Server {
    std::unique_ptr<Child> process;
    std::uint16_t port = 0;
};

/// All workers are ready. `options` go to mailroom's command line. Throws std::runtime_error if it does not listen.
Server start_mailroom(const std::filesystem::path& directory, unsigned workers,
                      const std::vector<std::string>& options = {});

/// `http` is what the http block holds beside what keeps it quiet and in `directory`; "{port}" in it becomes a free
/// port.
Server start_nginx(const std::filesystem::path& directory, unsigned workers, std::string http,
                   const std::string& events = "");

/// Waits until GET /hello is answered with 200. Throws std::runtime_error if the server ends or needs 10 s.
void expect_hello(const Server& server);

/// A port that nobody has. (Until somebody takes it: only for programs that cannot say which one was free.)
std::uint16_t free_port();

/// Debian has nginx where users' PATH does not lead.
void extend_path();

}  // namespace bench
