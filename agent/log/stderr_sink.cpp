#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "common/wire/readable.hpp"
#include "signalbox/log_sinks.hpp"

namespace signalbox {
namespace {

constexpr int kPatienceMilliseconds = 100;

bool wants_colour(const StderrOptions& options) {
    if (options.colour != StderrOptions::Colour::automatic)
        return options.colour == StderrOptions::Colour::always;
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    const bool dumb = terminal && std::strcmp(terminal, "dumb") == 0;
    return ::isatty(options.descriptor) == 1 && !dumb && !(no_colour && *no_colour);
}

const char* colour_of(wire::Severity severity) {
    switch (severity) {
        case wire::Severity::debug:
            return "\x1b[2m";
        case wire::Severity::info:
            return "";
        case wire::Severity::warning:
            return "\x1b[33m";
        case wire::Severity::error:
            break;
    }
    return "\x1b[31m";
}

std::string line_of(const wire::Event& event, bool coloured) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(event.time);
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(event.time - whole);
    // How an action ended names it already.
    const std::string name = event.kind == wire::EventKind::event ? event.name + ": " : "";
    return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03} {}{}{} [{}] {}\n",
                       fmt::localtime(static_cast<std::time_t>(whole.time_since_epoch().count())),
                       milliseconds.count(), coloured ? colour_of(event.severity) : "",
                       wire::severity_name(event.severity), coloured ? "\x1b[0m" : "", event.pid,
                       wire::escaped(name + wire::event_in_words(event)));
}

}  // namespace

StderrSink::StderrSink(StderrOptions options)
    : LogSink(options.least), descriptor_(options.descriptor), coloured_(wants_colour(options)) {}

bool StderrSink::write(const wire::Event& event) {
    const std::string line = (mid_line_ ? "\n" : "") + line_of(event, coloured_);
    patient_ = write_bytes(line);
    return patient_;
}

/// A pipe that is ready takes up to PIPE_BUF bytes without blocking. The descriptor is shared with others, so it
/// cannot be made non-blocking.
bool StderrSink::write_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
        pollfd ready{descriptor_, POLLOUT, 0};
        if (::poll(&ready, 1, patient_ ? kPatienceMilliseconds : 0) != 1) return false;
        const ssize_t written =
            ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
        mid_line_ = !bytes.empty();
    }
    return true;
}

}  // namespace signalbox
