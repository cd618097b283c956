#include "console/store/agent_store.hpp"

#include <utility>

namespace signalbox::console {

void AgentStore::follow(AgentSession& session) {
    connect(&session, &AgentSession::stateChanged, this, &AgentStore::setState);
    connect(&session, &AgentSession::helloArrived, this, &AgentStore::setHello);
    connect(&session, &AgentSession::directoryArrived, this, &AgentStore::addDirectory);
    connect(&session, &AgentSession::tickArrived, this, &AgentStore::addTick);
    connect(&session, &AgentSession::eventsArrived, this, &AgentStore::addEvents);
}

const wire::Worker* AgentStore::worker(std::uint32_t slot) const {
    const wire::Worker* best = nullptr;
    if (!history_.latest()) return best;
    const auto rank = [](const wire::Worker& worker) {
        switch (worker.state) {
            case wire::WorkerState::ready:
            case wire::WorkerState::stalled:
                return 3;
            case wire::WorkerState::starting:
                return 2;
            case wire::WorkerState::draining:
                return 1;
            case wire::WorkerState::dead:
                break;
        }
        return 0;
    };
    for (const auto& worker : history_.latest()->workers)
        if (worker.slot == slot &&
            (!best || std::pair(rank(worker), worker.generation) > std::pair(rank(*best), best->generation)))
            best = &worker;
    return best;
}

void AgentStore::setState(ConnectionState state, const QString& detail) {
    const bool wasConnected = connected();
    state_ = state;
    stateDetail_ = detail;
    if (wasConnected && !connected()) note(wire::Severity::warning, QStringLiteral("disconnected"), detail);
    if (!wasConnected && connected())
        note(wire::Severity::info, QStringLiteral("connected"), tr("The connection to the agent is up."));
    Q_EMIT stateChanged();
}

void AgentStore::setHello(const AgentHello& hello) {
    if (hello_ && hello_->bootId != hello.bootId) {
        history_.clear();
        note(wire::Severity::warning, QStringLiteral("group_restarted"),
             tr("The group has restarted; its counters begin again."));
    }
    hello_ = hello;
    Q_EMIT stateChanged();
}

void AgentStore::addDirectory(const DirectoryPtr& directory) {
    history_.addDirectory(*directory);
}

void AgentStore::addTick(const TickPtr& tick) {
    if (history_.addTick(tick)) Q_EMIT ticked();
}

AgentStore::EventKey AgentStore::keyOf(const wire::Event& event) {
    return {event.time, event.slot, event.generation, event.name, event.text};
}

void AgentStore::addEvents(const EventsPtr& events) {
    lostEvents_ += events->lost;
    std::vector<EventRecord> fresh;
    // Sequence numbers start again with the agent, so what an event says tells repetitions apart, not its
    // number.
    for (const auto& event : events->events)
        if (known_.insert(keyOf(event)).second) fresh.push_back({event, false});
    append(std::move(fresh));
}

void AgentStore::note(wire::Severity severity, const QString& name, const QString& text,
                      std::optional<std::uint32_t> slot) {
    wire::Event event;
    event.time = std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
    event.severity = severity;
    event.slot = slot.value_or(wire::Event::kGroup);
    event.name = name.toStdString();
    event.text = text.toStdString();
    append({{event, true}});
}

void AgentStore::append(std::vector<EventRecord> fresh) {
    if (fresh.empty()) return;
    while (fresh.size() > kMostEvents) {
        known_.erase(keyOf(fresh.front().event));
        fresh.erase(fresh.begin());
    }
    int removed = 0;
    for (; events_.size() + fresh.size() > kMostEvents; ++removed) {
        known_.erase(keyOf(events_.front().event));
        events_.pop_front();
    }
    const int added = static_cast<int>(fresh.size());
    for (auto& record : fresh)
        events_.push_back(std::move(record));
    Q_EMIT eventsChanged(removed, added);
}

}  // namespace signalbox::console
