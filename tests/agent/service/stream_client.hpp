// A blocking WebSocket client of the agent's GET /stream, over a unix socket.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "common/wire/messages.hpp"

class StreamClient {
public:
    using Message = std::variant<nlohmann::json, signalbox::wire::Message>;

    /// Throws std::runtime_error with the HTTP status when the agent refuses.
    explicit StreamClient(const std::string& path, const std::string& subprotocol = "signalbox.v1");
    /// On a connected socket, which it takes over.
    explicit StreamClient(int socket);
    ~StreamClient();

    void send(const nlohmann::json& request);
    void send_text(const std::string& text);
    /// Waits for the next message; throws when none comes within 20 s, when the connection ends and when a
    /// frame makes no sense.
    Message receive();
    nlohmann::json receive_json();
    /// Skips everything until the next message of that kind.
    template <class Kind>
    Kind receive_next() {
        for (;;) {
            Message message = receive();
            if (auto* binary = std::get_if<signalbox::wire::Message>(&message))
                if (auto* wanted = std::get_if<Kind>(binary)) return std::move(*wanted);
        }
    }

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};
