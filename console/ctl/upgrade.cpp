// An upgrade, with what happens until the new process is in charge.
#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "console/ctl/commands.hpp"
#include "console/ctl/events.hpp"
#include "console/ctl/json_fields.hpp"

namespace signalbox::ctl {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{100};

/// The agent at this address is that of another group's life than `boot_id`.
std::optional<client::Hello> successor(const client::Options& options, const std::string& boot_id) {
    try {
        Connection agent(options);
        if (agent.hello().boot_id != boot_id) return agent.hello();
    } catch (const Failure&) {
        // The old agent has ended, and the new one has not come so far.
    }
    return {};
}

}  // namespace

void upgrade(const client::Options& options, std::optional<std::chrono::seconds> patience, bool as_json) {
    std::string boot_id;
    std::string failure;
    bool lost = false;
    const auto limit = std::chrono::steady_clock::now() + patience.value_or(std::chrono::seconds(0));
    const auto check_limit = [&limit] {
        if (std::chrono::steady_clock::now() > limit)
            throw Failure(
                "the new version has not taken over yet, but this command waits no longer; 'events' "
                "shows how it goes on");
    };
    {
        Connection agent(options);
        boot_id = agent.hello().boot_id;
        const auto note = [&](const wire::Event& event) {
            const nlohmann::json fields = to_json(event);
            fmt::print("{}\n", as_json ? fields.dump() : event_line(fields));
            std::fflush(stdout);
            if (event.name == "upgrade_failed") failure = text_field(fields, "text");
        };
        if (patience) agent.follow_events(note, false);
        const nlohmann::json accepted = agent.call("group.upgrade");
        fmt::print("{}\n", as_json ? accepted.dump() : text_field(accepted, "message"));
        std::fflush(stdout);
        if (!patience) return;
        while (failure.empty() && !lost) {
            try {
                agent.run_for(kBetweenLooks);
            } catch (const Failure&) {
                lost = true;  // the old agent ends when the new process takes over
            }
            check_limit();
        }
    }
    if (!failure.empty()) throw Failure(failure);
    for (;;) {
        if (const auto hello = successor(options, boot_id)) {
            if (!as_json) fmt::print("process {} is in charge now\n", hello->arbiter_pid);
            return;
        }
        check_limit();
        std::this_thread::sleep_for(kBetweenLooks);
    }
}

}  // namespace signalbox::ctl
