// What is said about an exception that has left a handler.
#pragma once

#include <exception>
#include <string>

namespace signalbox::server {

/// Its text.
std::string message_of(const std::exception_ptr& failure);
/// What it is counted as: its type, "std::invalid_argument", or the message of its error_code, "Broken pipe".
std::string name_of(const std::exception_ptr& failure);
/// A call found a full pool: the same may well succeed later.
bool is_overload(const std::exception_ptr& failure);

}  // namespace signalbox::server
