// One agent's connection, for the GUI thread: a thread of its own runs the transport and decodes; what
// arrives here is whole, immutable and queued.
//
//     AgentSession session({.url = "unix:/run/mailroom/agent.sock"});
//     connect(&session, &AgentSession::tickArrived, &store, &AgentStore::addTick);
//     session.start();
//     session.call("worker.cycle", {{"slot", 2}, {"generation", 7}}, this, [](const CallReply& reply) { … });
//
// Every function is called and every signal comes on the thread that made the object. A GUI thread that does
// not keep up loses whole ticks (a gap, like any other), so the queue between the threads is bounded.
#pragma once

#include <QJsonObject>
#include <QObject>
#include <QString>
#include <functional>
#include <memory>

#include "common/wire/messages.hpp"
#include "console/session/connection_settings.hpp"

namespace signalbox::console {

using DirectoryPtr = std::shared_ptr<const wire::Directory>;
using TickPtr = std::shared_ptr<const wire::Tick>;
using EventsPtr = std::shared_ptr<const wire::Events>;

/// What the agent says of itself. Text from outside.
struct AgentHello {
    QString group;
    QString host;
    QString version;
    QString bootId;  ///< changes when the group restarts
    quint32 arbiterPid = 0;
    quint32 agentPid = 0;
    bool mayAct = false;  ///< we may cycle, scale …
};

enum class ConnectionState { connecting, connected, waiting, closed };

struct CallReply {
    bool ok = false;
    QJsonObject result;  ///< when ok
    int errorCode = 0;   ///< JSON-RPC's, when not
    QString error;       ///< a sentence, when not
};

class AgentSession : public QObject {
    Q_OBJECT
public:
    /// A URL that does not parse leaves the session closed, with the reason, once started.
    explicit AgentSession(ConnectionSettings settings, QObject* parent = nullptr);
    ~AgentSession() override;

    const ConnectionSettings& settings() const { return settings_; }
    void start();

    /// `done` runs once, on this thread, unless `context` is gone by then or the session is destroyed first.
    void call(const QString& method, const QJsonObject& params, QObject* context,
              std::function<void(const CallReply&)> done);

Q_SIGNALS:
    /// `detail` is a sentence: why it is not connected and when it tries again.
    void stateChanged(signalbox::console::ConnectionState state, const QString& detail);
    void helloArrived(const signalbox::console::AgentHello& hello);
    void directoryArrived(const signalbox::console::DirectoryPtr& directory);
    void tickArrived(const signalbox::console::TickPtr& tick);
    void eventsArrived(const signalbox::console::EventsPtr& events);

private:
    class Transport;
    ConnectionSettings settings_;
    std::unique_ptr<Transport> transport_;
};

}  // namespace signalbox::console
