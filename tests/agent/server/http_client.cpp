#include "http_client.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "agent/server/address.hpp"

HttpClient::HttpClient(const std::string& address, int receive_buffer) {
    const auto to = signalbox::server::parse_address(address);
    socket_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
        const int error = errno;
        ::close(socket_);
        throw std::system_error(error, std::generic_category(), "connect to " + address);
    }
}

HttpClient::~HttpClient() {
    if (socket_ >= 0) ::close(socket_);
}

void HttpClient::send(std::string_view bytes) {
    if (!try_send(bytes)) throw std::runtime_error("the server takes no more");
}

bool HttpClient::try_send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool HttpClient::receive() {
    char buffer[64 * 1024];
    const ssize_t bytes = ::recv(socket_, buffer, sizeof buffer, 0);
    if (bytes < 0) throw std::system_error(errno, std::generic_category(), "receive");
    received_.append(buffer, static_cast<std::size_t>(bytes));
    return bytes > 0;
}

std::string HttpClient::take(std::size_t bytes) {
    while (received_.size() < bytes)
        if (!receive()) throw std::runtime_error("the connection ended within a response");
    std::string taken = received_.substr(0, bytes);
    received_.erase(0, bytes);
    return taken;
}

Reply HttpClient::read(bool of_head_request) {
    Reply reply = read_header();
    if (of_head_request) return reply;
    const std::string length = reply.header("content-length");
    if (!length.empty()) reply.body = take(std::stoul(length));
    if (reply.header("transfer-encoding") == "chunked")
        for (std::string chunk = read_chunk(); !chunk.empty(); chunk = read_chunk())
            reply.body += chunk;
    return reply;
}

std::string HttpClient::read_chunk() {
    std::size_t end;
    while ((end = received_.find("\r\n")) == std::string::npos)
        if (!receive()) throw std::runtime_error("the connection ended before the last chunk");
    const std::size_t size = std::stoul(take(end + 2), nullptr, 16);
    std::string data = take(size + 2);
    if (!data.ends_with("\r\n")) throw std::runtime_error("a chunk without its end");
    data.resize(size);
    return data;
}

std::string HttpClient::read_rest() {
    while (receive()) {
    }
    return std::exchange(received_, {});
}

Reply HttpClient::read_header() {
    std::size_t end;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos)
        if (!receive()) throw std::runtime_error("the connection ended without a response");
    const std::string header = take(end + 4);
    Reply reply;
    reply.status = std::stoi(header.substr(9, 3));
    for (std::size_t line = header.find("\r\n") + 2; line + 2 < header.size();) {
        const std::size_t line_end = header.find("\r\n", line);
        const std::size_t colon = header.find(':', line);
        std::string name = header.substr(line, colon - line);
        for (char& c : name)
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        reply.headers[name] = header.substr(colon + 2, line_end - colon - 2);
        line = line_end + 2;
    }
    return reply;
}

bool HttpClient::ends() {
    try {
        return received_.empty() && !receive();
    } catch (const std::system_error& error) {
        return error.code() == std::errc::connection_reset;
    }
}

void HttpClient::half_close() {
    ::shutdown(socket_, SHUT_WR);
}

Reply ask(const std::string& address, std::string_view request) {
    HttpClient client(address);
    client.send(request);
    return client.read();
}
