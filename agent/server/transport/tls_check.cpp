// Checking TLS options before the fork, in a process that is gone afterwards.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "agent/server/transport/tls_context.hpp"

namespace signalbox::server {

namespace {

constexpr std::size_t kMostProtocol = 255;  ///< bytes of a name (RFC 7301)

void check_values(const TlsOptions& options) {
    for (const std::string& protocol : options.protocols)
        if (protocol.empty() || protocol.size() > kMostProtocol)
            throw std::invalid_argument("TLS protocol '" + protocol +
                                        "': its name must have 1 to 255 bytes; try 'http/1.1'");
    if (options.ticket_rotation < std::chrono::seconds(1))
        throw std::invalid_argument(
            "TLS ticket_rotation: " + std::to_string(options.ticket_rotation.count()) +
            " s is too short; try an hour, and at least a second");
    if (options.handshake_deadline <= std::chrono::milliseconds(0))
        throw std::invalid_argument(
            "TLS handshake_deadline: " + std::to_string(options.handshake_deadline.count()) +
            " ms leaves no time; try 10 seconds");
}

/// What is wrong; empty: nothing.
std::string complaint_about(const TlsOptions& options) {
    try {
        TlsCallbackState state(options);
        make_tls_context(options, read_tls_files(options), state);
        return {};
    } catch (const std::exception& error) {
        return error.what();
    }
}

[[noreturn]] void check_and_leave(const TlsOptions& options, int out) {
    const std::string complaint = complaint_about(options);
    const ssize_t written = ::write(out, complaint.data(), complaint.size());
    ::_exit(written == static_cast<ssize_t>(complaint.size()) ? 0 : 1);
}

std::string read_all(int in) {
    std::string text;
    char buffer[1024];
    for (;;) {
        const ssize_t bytes = ::read(in, buffer, sizeof buffer);
        if (bytes > 0) text.append(buffer, static_cast<std::size_t>(bytes));
        if (bytes == 0 || (bytes < 0 && errno != EINTR)) return text;
    }
}

}  // namespace

void check_tls_options(const TlsOptions& options) {
    check_values(options);
    int ends[2];
    if (::pipe(ends) != 0)
        throw std::system_error(errno, std::generic_category(), "a pipe to check TLS files");
    const pid_t child = ::fork();
    if (child == 0) check_and_leave(options, ends[1]);
    ::close(ends[1]);
    const std::string complaint = read_all(ends[0]);
    ::close(ends[0]);
    if (child < 0) throw std::system_error(errno, std::generic_category(), "a process to check TLS files");
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!complaint.empty()) throw std::invalid_argument(complaint);
}

}  // namespace signalbox::server
