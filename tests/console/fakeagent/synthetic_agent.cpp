#include "tests/console/fakeagent/synthetic_agent.hpp"

#include <boost/asio.hpp>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "common/wire/codec.hpp"
#include "tests/common/client/fake_agent.hpp"
#include "tests/console/fakeagent/synthetic_group.hpp"

namespace signalbox::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t kMostRetained = 600;

wire::WallTime nowRounded() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

}  // namespace

class SyntheticAgent::Impl {
public:
    Impl(std::string path, SyntheticAgentOptions options)
        : path_(std::move(path)),
          options_(std::move(options)),
          group_(options_.workers, nowRounded() - options_.history * 1s),
          timer_(io_) {
        for (int i = 0; i < options_.history; ++i)
            makeTick();
        open();
        wait();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Impl() {
        run([this] { close(); });
        io_.stop();
        thread_.join();
    }

    /// On the agent's thread, to the end.
    void run(std::function<void()> task) {
        std::packaged_task<void()> packaged(std::move(task));
        auto done = packaged.get_future();
        boost::asio::post(io_, [&packaged] { packaged(); });
        done.wait();
    }

    void open() {
        if (agent_) return;
        agent_.emplace(io_, path_);
        agent_->manners.hello["host"] = options_.host;
        agent_->manners.hello["boot_id"] = options_.bootId;
        agent_->manners.hello["may_act"] = options_.mayAct;
        agent_->answer = [this](const json& request) { return std::optional(answer(request)); };
    }
    void close() {
        agent_.reset();
        subscribed_ = false;
        std::filesystem::remove(path_);
    }
    void drop() {
        subscribed_ = false;
        if (agent_) agent_->drop_connections();
    }

    void makeTick() {
        retained_.push_back(group_.next(1s));
        if (retained_.size() > kMostRetained) retained_.pop_front();
        for (auto& event : group_.takeEvents().events)
            events_.events.push_back(std::move(event));
    }
    void send(const wire::Message& message) { agent_->send_binary(wire::encode(message)); }

    std::map<std::string, std::vector<json>> calls_;
    std::map<std::string, json> failures_;
    std::string path_;
    SyntheticAgentOptions options_;
    SyntheticGroup group_;

private:
    void wait() {
        timer_.expires_after(options_.pace);
        timer_.async_wait([this](const auto& error) {
            if (error) return;
            const auto told = events_.events.size();
            makeTick();
            if (subscribed_) {
                send(retained_.back());
                if (events_.events.size() > told)
                    send(wire::Events{
                        0,
                        {events_.events.begin() + static_cast<std::ptrdiff_t>(told), events_.events.end()}});
            }
            wait();
        });
    }

    json answer(const json& request) {
        const std::string method = request.at("method");
        const json params = request.value("params", json::object());
        calls_[method].push_back(params);
        if (const auto failure = failures_.find(method); failure != failures_.end()) {
            json error = {{"error", failure->second}};
            failures_.erase(failure);
            return error;
        }
        return {{"result", carryOut(method, params)}};
    }

    json carryOut(const std::string& method, const json& params) {
        if (method == "telemetry.subscribe") {
            // Telemetry follows the reply, which is sent once this returns.
            boost::asio::post(io_, [this, params] { beginTelemetry(params); });
            return {{"period_ms", 1000}, {"scale", 5}, {"granularity", "worker"}, {"tick", retained_.size()}};
        }
        if (method == "worker.cycle") {
            const std::uint32_t slot = params.at("slot");
            const auto generation = params.at("generation");
            group_.cycle(slot);
            return {{"slot", slot}, {"generation", generation}, {"message", "The replacement is starting."}};
        }
        if (method == "group.cycle") return {{"message", "All workers will be replaced, one at a time."}};
        if (method == "group.scale") {
            const unsigned from = group_.target();
            group_.scale(params.at("workers"));
            return {{"from", from}, {"to", group_.target()}, {"message", "The group changes its size."}};
        }
        return json::object();
    }

    void beginTelemetry(const json& params) {
        if (!agent_) return;
        send(group_.directory());
        const auto since =
            params.contains("since_ns")
                ? wire::WallTime(std::chrono::nanoseconds(params["since_ns"].get<std::int64_t>()))
                : retained_.back().end - std::chrono::milliseconds(params.value("history_ms", 0));
        for (const auto& tick : retained_)
            if (tick.end > since) send(tick);
        send(events_);
        send(group_.absolute());
        subscribed_ = true;
    }

    boost::asio::io_context io_;
    boost::asio::steady_timer timer_;
    std::optional<client::FakeAgent> agent_;
    bool subscribed_ = false;
    std::deque<wire::Tick> retained_;
    wire::Events events_;
    std::thread thread_;
};

SyntheticAgent::SyntheticAgent(std::string socketPath, SyntheticAgentOptions options)
    : impl_(std::make_unique<Impl>(std::move(socketPath), std::move(options))) {}

SyntheticAgent::~SyntheticAgent() = default;

std::string SyntheticAgent::url() const {
    return "unix:" + impl_->path_;
}

void SyntheticAgent::open() {
    impl_->run([this] { impl_->open(); });
}
void SyntheticAgent::close() {
    impl_->run([this] { impl_->close(); });
}
void SyntheticAgent::dropConnections() {
    impl_->run([this] { impl_->drop(); });
}

std::vector<json> SyntheticAgent::calls(const std::string& method) const {
    std::vector<json> copy;
    impl_->run([&] { copy = impl_->calls_[method]; });
    return copy;
}

void SyntheticAgent::failNext(const std::string& method, int code, const std::string& message) {
    impl_->run([&] { impl_->failures_[method] = {{"code", code}, {"message", message}}; });
}

void SyntheticAgent::change(std::function<void(SyntheticGroup&)> how) {
    impl_->run([&] { how(impl_->group_); });
}

void SyntheticAgent::skipTicks(int howMany) {
    impl_->run([&] {
        for (int i = 0; i < howMany; ++i)
            impl_->makeTick();
    });
}

}  // namespace signalbox::test
