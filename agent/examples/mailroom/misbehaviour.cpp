#include "agent/examples/mailroom/misbehaviour.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "signalbox/group.hpp"

namespace mailroom {

using signalbox::Request;
using signalbox::Response;

namespace {

/// The number in the query, within 0 … maximum; none if it is missing or something else.
std::optional<double> number(const Request& request, std::string_view name, double maximum) {
    const auto text = request.query_value(name);
    if (!text) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = error == std::errc{} && end == text->data() + text->size();
    if (!whole || !(value >= 0 && value <= maximum)) return std::nullopt;
    return value;
}

Response needs(std::string_view what) {
    return Response::text(fmt::format("Needs {}.\n", what), 400);
}

constexpr double kLongestSeconds = 3600;

using Seconds = std::chrono::duration<double>;
std::optional<Seconds> milliseconds(const Request& request) {
    const auto value = number(request, "milliseconds", kLongestSeconds * 1000);
    if (!value) return std::nullopt;
    return Seconds(*value / 1000);
}
constexpr const char* kNeedsMilliseconds = "?milliseconds=0 … 3600000";

Response leak(const Request& request, std::vector<std::unique_ptr<char[]>>& kept) {
    std::uint64_t bytes = 0;
    try {
        bytes = static_cast<std::uint64_t>(signalbox::parse_bytes(request.query_value("bytes").value_or("")));
    } catch (const std::invalid_argument&) {
        return needs("?bytes=64MiB, or another size");
    }
    constexpr std::uint64_t kMost = std::uint64_t{16} << 30;
    if (bytes > kMost) return needs("at most 16GiB");
    kept.push_back(std::make_unique<char[]>(bytes));  // zeroed, which touches every page
    return Response::text(fmt::format("Keeping {} bytes more.\n", bytes));
}

/// Opens files and forgets them.
Response leak_files(const Request& request) {
    const auto count = number(request, "count", 100'000);
    if (!count) return needs("?count=0 … 100000");
    int opened = 0;
    while (opened < *count && ::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        ++opened;
    return Response::text(fmt::format("Opened {} files.\n", opened));
}

Response spin(const Request& request) {
    const auto seconds = number(request, "seconds", kLongestSeconds);
    if (!seconds) return needs("?seconds=0 … 3600");
    const auto end = std::chrono::steady_clock::now() + Seconds(*seconds);
    std::uint64_t turns = 0;
    while (std::chrono::steady_clock::now() < end)
        ++turns;
    return Response::text(fmt::format("Spun {} times.\n", turns));
}

Response block(const Request& request) {
    const auto time = milliseconds(request);
    if (!time) return needs(kNeedsMilliseconds);
    std::this_thread::sleep_for(*time);
    return Response::text("Blocked.\n");
}

Response fail(const Request&) {
    throw std::runtime_error("as it was asked for");
}

/// Locks twice what can be locked once, for ever.
Response deadlock(const Request&) {
    static std::mutex mutex;
    mutex.lock();
    mutex.lock();
    return Response::text("Locked twice?\n", 500);
}

signalbox::awaitable<Response> sleep(Request request) {
    const auto time = milliseconds(request);
    if (!time) co_return needs(kNeedsMilliseconds);
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(*time));
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return Response::text("Slept.\n");
}

void crash_here() {
    // An address that is easy to recognise in a crash report, and never mapped.
    volatile int* volatile nowhere = reinterpret_cast<int*>(0xdead);
    *nowhere = 0;
}

Response crash(const Request&) {
    crash_here();
    return Response::text("Still here?\n", 500);
}

Response leave(const Request& request) {
    const auto status = number(request, "status", 255);
    if (!status) return needs("?status=0 … 255");
    _exit(static_cast<int>(*status));
}

}  // namespace

void add_misbehaviour(signalbox::Router& router) {
    auto kept = std::make_shared<std::vector<std::unique_ptr<char[]>>>();
    router.post("/misbehave/leak", [kept](const Request& request) { return leak(request, *kept); })
        .post("/misbehave/leak-files", leak_files)
        .post("/misbehave/spin", spin)
        .post("/misbehave/deadlock", deadlock)
        .post("/misbehave/block", block)
        .post("/misbehave/sleep", sleep)
        .post("/misbehave/fail", fail)
        .post("/misbehave/crash", crash)
        .post("/misbehave/exit", leave);
}

void crash_if(const std::string& file) {
    if (::access(file.c_str(), F_OK) == 0) crash_here();
}

}  // namespace mailroom
