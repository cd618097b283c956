// One arbiter in place of another: how the old one lets go, and how the new one takes over.
#include <fmt/format.h>
#include <unistd.h>

#include "agent/supervisor/arbiter.hpp"

namespace signalbox::supervisor {
namespace {

using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
/// What the agent gets to end before the new group is told to take over.
constexpr std::uint64_t kAgentFarewell = 1'000 * kMillisecond;
constexpr std::uint64_t kInheritPeriod = 500 * kMillisecond;

}  // namespace

Roster::Verdict Arbiter::begin_upgrade(const std::string& reason) {
    using Refusal = Roster::Refusal;
    if (stopping_ && !upgrade_.handed_over()) return {Refusal::refused, "The group is stopping."};
    if (!is_in_charge())
        return {Refusal::refused, "This process has not taken over yet: it is itself the new version."};
    if (config_.predecessor && config_.predecessor->present())
        return {
            Refusal::refused,
            "The group before this one still drains: try again when the event upgrade_finished has come."};
    const std::string refusal = upgrade_.begin(reason, telemetry::monotonic_ns());
    if (!refusal.empty()) return {Refusal::refused, refusal};
    manager_.tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=A new version starts",
                              telemetry::monotonic_ns() / 1000));
    return {Refusal::none,
            fmt::format("Process {} starts; once its workers are ready, those of this one drain.",
                        upgrade_.pid())};
}

bool Arbiter::is_in_charge() const {
    return !config_.predecessor || !config_.predecessor->in_charge();
}

/// The old arbiter's part.
void Arbiter::maintain_upgrade(std::uint64_t now) {
    upgrade_.maintain(now);
    if (!upgrade_.ready()) return;
    // Its totals end with it: the new group's begin with what there is after that, so that nobody sees one fall.
    if (agent_gone_by_ns_ == 0) {
        agent_.stop();
        agent_gone_by_ns_ = now + kAgentFarewell;
    }
    if (agent_.running()) {
        if (now >= agent_gone_by_ns_) agent_.kill();
        return;
    }
    if (!upgrade_.hand_over(now)) return;
    if (config_.handed_over) config_.handed_over();
    manager_.tell(fmt::format("MAINPID={}", upgrade_.pid()));
    manager_.leave();
    begin_stop(false);
}

void Arbiter::note_upgrade_failed() {
    if (stopping_) return;
    agent_gone_by_ns_ = 0;
    agent_.resume();
    ready_told_ = false;
    manager_.status("The new version did not take over");
}

/// The new arbiter's part.
void Arbiter::maintain_succession(std::uint64_t now) {
    Predecessor* const predecessor = config_.predecessor;
    if (!predecessor || !predecessor->present()) return;
    if (predecessor->in_charge()) {
        if (!stopping_ && roster_.serving() >= roster_.target() && roster_.settled())
            predecessor->say_ready();
        if (predecessor->hands_over()) take_over(now);
        return;
    }
    if (now < next_inheritance_ns_) return;
    next_inheritance_ns_ = now + kInheritPeriod;
    const bool ended = predecessor->has_ended();
    inherit(ended);
    if (!ended) return;
    inherited_.reset();
    predecessor->release();
    journal_.say(Severity::info, "upgrade_finished", "The group before this one has ended.");
}

void Arbiter::take_over(std::uint64_t now) {
    const Predecessor& predecessor = *config_.predecessor;
    try {
        if (predecessor.segment() >= 0) inherited_.emplace(segment_, predecessor.segment());
    } catch (const std::exception& error) {
        journal_.say(
            Severity::warning, "totals_left_behind",
            fmt::format("What the group before this one has counted stays behind: {}.", error.what()));
    }
    inherit(false);
    next_inheritance_ns_ = now + kInheritPeriod;
    journal_.say(predecessor.died() ? Severity::warning : Severity::info, "upgrade_taken_over",
                 fmt::format("Process {} is in charge{}.", ::getpid(),
                             predecessor.died() ? ", since the arbiter before it has died" : ""));
    if (config_.taken_over) config_.taken_over();
    manager_.tell(fmt::format("MAINPID={}", ::getpid()));
    ready_told_ = false;
}

/// `finish`: the predecessor's group has ended.
void Arbiter::inherit(bool finish) {
    if (!inherited_) return;
    try {
        if (finish)
            inherited_->finish();
        else
            inherited_->advance();
    } catch (const std::exception& error) {
        journal_.say(
            Severity::error, "totals_left_behind",
            fmt::format("What the group before this one counted last stays behind: {}.", error.what()));
    }
    for (const std::string& obstacle : inherited_->take_obstacles())
        journal_.say(Severity::warning, "total_left_behind",
                     fmt::format("A total of the group before this one stays behind: {}.", obstacle));
}

}  // namespace signalbox::supervisor
