// What an operator can do about an error, rather than what the system calls it.
#pragma once

#include <boost/system/error_code.hpp>
#include <chrono>
#include <string>

#include "common/client/url.hpp"

namespace signalbox::client {

/// A sentence without its full stop; one that suggests a cause ends with a question mark.
std::string explain(const boost::system::error_code& error, const Url& url);

/// "250 ms", "1.3 s", "10 s"
std::string in_words(std::chrono::milliseconds length);

}  // namespace signalbox::client
