#include "console/session/agent_session.hpp"

#include <QJsonDocument>
#include <QMetaObject>
#include <QPointer>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "common/client/session.hpp"

namespace signalbox::console {
namespace {

/// Ticks on their way to the GUI thread: history fills 300 at once, ten times that is a GUI that has stopped.
constexpr int kMostTicksInFlight = 3000;
constexpr int kMostEventBatchesInFlight = 1000;
constexpr std::chrono::seconds kHistory{300};

ConnectionState fromClient(client::State state) {
    switch (state) {
        case client::State::connecting:
            return ConnectionState::connecting;
        case client::State::connected:
            return ConnectionState::connected;
        case client::State::waiting:
            return ConnectionState::waiting;
        case client::State::closed:
            break;
    }
    return ConnectionState::closed;
}

AgentHello fromClient(const client::Hello& hello) {
    return {.group = QString::fromStdString(hello.group),
            .host = QString::fromStdString(hello.host),
            .version = QString::fromStdString(hello.version),
            .bootId = QString::fromStdString(hello.boot_id),
            .arbiterPid = hello.arbiter_pid,
            .agentPid = hello.agent_pid,
            .mayAct = hello.may_act};
}

CallReply fromClient(const client::Reply& reply) {
    CallReply converted;
    converted.ok = static_cast<bool>(reply);
    if (reply.result) {
        const auto text = QByteArray::fromStdString(
            reply.result->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
        converted.result = QJsonDocument::fromJson(text).object();
    }
    converted.errorCode = reply.error_code;
    converted.error = QString::fromStdString(reply.error);
    return converted;
}

}  // namespace

/// Lives on the transport's thread, but for its construction and destruction.
class AgentSession::Transport : public client::Observer {
public:
    Transport(AgentSession& owner, client::Options options)
        : owner_(owner),
          work_(io_.get_executor()),
          thread_([this, options = std::move(options)] { run(options); }) {}

    ~Transport() override {
        // Posted rather than io_.stop() alone, so that the agent is told goodbye and pending calls are
        // answered.
        boost::asio::post(io_, [this] {
            session_->stop();
            work_.reset();
            boost::asio::post(io_, [this] { io_.stop(); });
        });
        thread_.join();
    }

    void call(std::string method, std::string params, std::function<void(client::Reply)> done) {
        boost::asio::post(io_, [this, method = std::move(method), params = std::move(params),
                                done = std::move(done)]() mutable {
            session_->call(std::move(method), nlohmann::json::parse(params), std::move(done));
        });
    }

    void on_state(client::State state, const std::string& detail) override {
        tell([this, state = fromClient(state), text = QString::fromStdString(detail)] {
            Q_EMIT owner_.stateChanged(state, text);
        });
    }
    void on_hello(const client::Hello& hello) override {
        tell([this, converted = fromClient(hello)] { Q_EMIT owner_.helloArrived(converted); });
    }
    void on_directory(wire::Directory&& directory) override {
        tell([this, shared = std::make_shared<const wire::Directory>(std::move(directory))] {
            Q_EMIT owner_.directoryArrived(shared);
        });
    }
    void on_tick(wire::Tick&& tick) override {
        if (ticks_in_flight_ >= kMostTicksInFlight) return;
        ++ticks_in_flight_;
        tell([this, shared = std::make_shared<const wire::Tick>(std::move(tick))] {
            --ticks_in_flight_;
            Q_EMIT owner_.tickArrived(shared);
        });
    }
    void on_events(wire::Events&& events) override {
        if (event_batches_in_flight_ >= kMostEventBatchesInFlight) return;
        ++event_batches_in_flight_;
        tell([this, shared = std::make_shared<const wire::Events>(std::move(events))] {
            --event_batches_in_flight_;
            Q_EMIT owner_.eventsArrived(shared);
        });
    }

    /// Runs on the owner's thread; never after the owner is gone.
    template <typename Function>
    void tell(Function&& function) {
        QMetaObject::invokeMethod(&owner_, std::forward<Function>(function), Qt::QueuedConnection);
    }

private:
    void run(const client::Options& options) {
        session_ = std::make_unique<client::Session>(io_, options, *this);
        session_->start();
        io_.run();
        session_.reset();
    }

    AgentSession& owner_;
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::unique_ptr<client::Session> session_;
    std::atomic<int> ticks_in_flight_ = 0;
    std::atomic<int> event_batches_in_flight_ = 0;
    std::thread thread_;  // last: it uses all of the above
};

AgentSession::AgentSession(ConnectionSettings settings, QObject* parent)
    : QObject(parent), settings_(std::move(settings)) {}

AgentSession::~AgentSession() = default;

void AgentSession::start() {
    client::Options options;
    try {
        options.url = client::Url::parse(settings_.url.toStdString());
    } catch (const std::exception& error) {
        const QString reason = QString::fromUtf8(error.what());
        QMetaObject::invokeMethod(
            this, [this, reason] { Q_EMIT stateChanged(ConnectionState::closed, reason); },
            Qt::QueuedConnection);
        return;
    }
    options.tls = {settings_.authority.toStdString(), settings_.certificate.toStdString(),
                   settings_.key.toStdString()};
    options.subscription.emplace().history = kHistory;
    transport_ = std::make_unique<Transport>(*this, std::move(options));
}

void AgentSession::call(const QString& method, const QJsonObject& params, QObject* context,
                        std::function<void(const CallReply&)> done) {
    auto answer = [guard = QPointer<QObject>(context), done = std::move(done)](const CallReply& reply) {
        if (guard) done(reply);
    };
    if (!transport_) {
        QMetaObject::invokeMethod(
            this,
            [answer] { answer({.ok = false, .result = {}, .errorCode = 0, .error = tr("Not connected.")}); },
            Qt::QueuedConnection);
        return;
    }
    auto* transport = transport_.get();
    transport->call(method.toStdString(), QJsonDocument(params).toJson(QJsonDocument::Compact).toStdString(),
                    [transport, answer](const client::Reply& reply) {
                        transport->tell([answer, converted = fromClient(reply)] { answer(converted); });
                    });
}

}  // namespace signalbox::console
