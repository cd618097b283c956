// The media type that a file's name tells.
#pragma once

#include <string_view>

namespace signalbox::server {

/// "text/css; charset=utf-8" for "a/b.CSS"; "application/octet-stream" for a name that tells nothing.
std::string_view content_type_of(std::string_view path);

}  // namespace signalbox::server
