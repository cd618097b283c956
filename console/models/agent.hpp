// One connected agent with all that the views need of it.
#pragma once

#include <QObject>

#include "console/models/event_model.hpp"
#include "console/models/worker_model.hpp"
#include "console/session/agent_session.hpp"
#include "console/store/agent_store.hpp"

namespace signalbox::console {

class Agent : public QObject {
    Q_OBJECT
public:
    explicit Agent(const ConnectionSettings& settings, QObject* parent = nullptr);

    AgentSession& session() { return session_; }
    AgentStore& store() { return store_; }
    const AgentStore& store() const { return store_; }
    WorkerModel& workers() { return workers_; }
    EventModel& events() { return events_; }

    QString url() const { return session_.settings().url; }
    /// The group's name once known, else the URL. Safe to show as plain text.
    QString title() const;
    /// Why nothing can be done now, a sentence; empty if the agent would let us act.
    QString whyNoActions() const;
    /// Workers that are ready as of the last tick.
    int readyWorkers() const;

private:
    AgentSession session_;
    AgentStore store_;
    WorkerModel workers_;
    EventModel events_;
};

}  // namespace signalbox::console
