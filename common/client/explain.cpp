#include "common/client/explain.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/websocket/error.hpp>

#include "common/wire/codec.hpp"

namespace signalbox::client {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

bool agent_wants_a_certificate(const boost::system::error_code& error) {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
               SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED;
}

bool means_closed(const boost::system::error_code& error) {
    return error == asio::error::eof || error == asio::error::connection_reset ||
           error == asio::error::broken_pipe || error == asio::ssl::error::stream_truncated ||
           error == websocket::error::closed || error == boost::beast::http::error::end_of_stream ||
           error == boost::beast::http::error::partial_message;
}

}  // namespace

std::string explain(const boost::system::error_code& error, const Url& url) {
    if (error == asio::error::connection_refused) return "connection refused: is the server running?";
    if (error == boost::system::errc::no_such_file_or_directory)
        return "there is no socket '" + url.path + "': is the server running, and is this the right path?";
    if (error == boost::system::errc::permission_denied)
        return "permission denied for '" + url.path + "': may this user use the socket?";
    if (error == asio::error::host_not_found || error == asio::error::no_data)
        return "the host '" + url.host + "' is not known";
    if (error == asio::error::host_not_found_try_again)
        return "the look-up of the host '" + url.host + "' failed";
    if (error == boost::beast::error::timeout) return "the agent does not answer any more";
    if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow)
        return "the agent sent a frame of more than " + std::to_string(wire::kMaxFrameBytes >> 20) + " MiB";
    if (agent_wants_a_certificate(error)) return "the agent wants a client certificate that it trusts";
    if (means_closed(error)) return "the agent closed the connection";
    return error.message();
}

std::string in_words(std::chrono::milliseconds length) {
    if (length < std::chrono::seconds(1)) return std::to_string(length.count()) + " ms";
    const auto tenths = (length.count() + 50) / 100;
    std::string text = std::to_string(tenths / 10);
    if (tenths % 10 != 0 && tenths < 100) text += '.' + std::to_string(tenths % 10);
    return text + " s";
}

}  // namespace signalbox::client
