// Everything known about one agent: its connection, the group's last ten minutes, its events. What views and
// models read.
//
//     AgentStore store;
//     store.follow(session);
//     connect(&store, &AgentStore::ticked, this, [&] { draw(store.history()); });
//
// While disconnected the data stay and connected() is false; a group that restarted (another boot id) starts
// afresh, except for the events. GUI thread only.
#pragma once

#include <QObject>
#include <deque>
#include <set>
#include <tuple>

#include "console/session/agent_session.hpp"
#include "console/store/tick_history.hpp"

namespace signalbox::console {

/// An event of the group, or one of the console's own (what we asked for and what became of it).
struct EventRecord {
    wire::Event event;
    bool ours = false;
};

class AgentStore : public QObject {
    Q_OBJECT
public:
    static constexpr std::size_t kMostEvents = 10'000;

    explicit AgentStore(QObject* parent = nullptr) : QObject(parent) {}
    void follow(AgentSession& session);

    ConnectionState state() const { return state_; }
    bool connected() const { return state_ == ConnectionState::connected; }
    /// Why it is not connected and when it tries again.
    const QString& stateDetail() const { return stateDetail_; }
    /// None before the first connection.
    const std::optional<AgentHello>& hello() const { return hello_; }

    const TickHistory& history() const { return history_; }
    /// The worker of a slot that a command means: the one that serves, not the one that drains. Null if there
    /// is none.
    const wire::Worker* worker(std::uint32_t slot) const;
    const std::deque<EventRecord>& events() const { return events_; }
    std::uint64_t lostEvents() const { return lostEvents_; }

    void setState(ConnectionState state, const QString& detail);
    void setHello(const AgentHello& hello);
    void addDirectory(const DirectoryPtr& directory);
    void addTick(const TickPtr& tick);
    void addEvents(const EventsPtr& events);
    /// An event of the console's own, stamped now.
    void note(wire::Severity severity, const QString& name, const QString& text,
              std::optional<std::uint32_t> slot = {});

Q_SIGNALS:
    void stateChanged();
    void ticked();
    /// `added` at the end, after `removed` at the front.
    void eventsChanged(int removed, int added);

private:
    using EventKey = std::tuple<wire::WallTime, std::uint32_t, std::uint64_t, std::string, std::string>;
    static EventKey keyOf(const wire::Event& event);
    void append(std::vector<EventRecord> fresh);

    ConnectionState state_ = ConnectionState::connecting;
    QString stateDetail_;
    std::optional<AgentHello> hello_;
    TickHistory history_;
    std::deque<EventRecord> events_;
    std::set<EventKey> known_;
    std::uint64_t lostEvents_ = 0;
};

}  // namespace signalbox::console
