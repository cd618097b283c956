// A client that sends exactly the bytes it is told to, and reads responses by their framing.
#pragma once

#include <map>
#include <string>
#include <string_view>

struct Reply {
    int status = 0;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;

    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

class HttpClient {
public:
    /// As signalbox::server::bind_listener writes addresses. Throws std::system_error.
    explicit HttpClient(const std::string& address, int receive_buffer = 0);
    ~HttpClient();
    HttpClient(HttpClient&& other) noexcept : socket_(other.socket_), received_(std::move(other.received_)) {
        other.socket_ = -1;
    }
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// Throws std::runtime_error when the server does not take it.
    void send(std::string_view bytes);
    /// False when the server has closed; sends what it can.
    bool try_send(std::string_view bytes);
    /// The next response, with the chunks of its body put together. Throws std::runtime_error when none comes
    /// within 20 seconds or the connection ends.
    Reply read(bool of_head_request = false);
    std::string read_exactly(std::size_t bytes) { return take(bytes); }
    /// Without what follows the empty line.
    Reply read_header();
    /// The next chunk; empty for the last one.
    std::string read_chunk();
    /// Everything up to the end of the connection. Throws std::system_error when that is a reset.
    std::string read_rest();
    /// Waits for the server's end of the connection; false if anything but that comes, or nothing.
    bool ends();
    void half_close();
    int descriptor() const { return socket_; }

private:
    bool receive();
    std::string take(std::size_t bytes);

    int socket_ = -1;
    std::string received_;
};

/// One request on a connection of its own.
Reply ask(const std::string& address, std::string_view request);
