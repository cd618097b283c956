// An agent without a server behind it: a SyntheticGroup spoken for on a unix socket, for tests that need
// faults at will.
//
//     SyntheticAgent agent(socketPath, {.workers = 4});
//     window.connectTo({.url = QString::fromStdString(agent.url())});
//     QTRY_COMPARE(agent.calls("worker.cycle").size(), 1u);
//     agent.dropConnections();                                  // and accepts new ones
//     agent.close(); agent.open();                              // gone for a while
//
// One client at a time. Runs on a thread of its own; its functions may be called from any other.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace signalbox::test {

class SyntheticGroup;

struct SyntheticAgentOptions {
    unsigned workers = 4;
    bool mayAct = true;
    std::string host = "mx1.example.net";
    std::string bootId = "b1";
    /// How fast its time runs: a tick of one second is sent this often.
    std::chrono::milliseconds pace{100};
    /// Ticks of history that it has when it starts.
    int history = 60;
};

class SyntheticAgent {
public:
    explicit SyntheticAgent(std::string socketPath, SyntheticAgentOptions options = {});
    ~SyntheticAgent();

    std::string url() const;
    void open();
    void close();
    void dropConnections();

    /// Parameters of the calls of one method so far.
    std::vector<nlohmann::json> calls(const std::string& method) const;
    /// The next call of `method` is answered with this error and not carried out.
    void failNext(const std::string& method, int code, const std::string& message);
    /// Changes the group between two ticks.
    void change(std::function<void(SyntheticGroup&)> how);
    /// Makes that many ticks without sending them, as an agent does to a slow client.
    void skipTicks(int howMany);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace signalbox::test
