// What a client likes to decode, and which responses are worth it (RFC 9110, sections 8.4 and 12.5.3).
#pragma once

#include <string_view>

#include "signalbox/compression.hpp"
#include "signalbox/http.hpp"

namespace signalbox::server {

enum class Coding { identity, gzip, zstd };

/// "gzip"
std::string_view name_of(Coding coding);

/// By all Accept-Encoding fields of the request. Identity when there is none, when nothing that is offered is
/// accepted, or when the client likes identity better. A member of the list that is malformed counts as not
/// there.
Coding choose_coding(const Headers& request, const CompressionOptions& offered);

/// Whether the media type of a Content-Type is among `types`.
bool is_listed(std::string_view content_type, const std::vector<std::string>& types);

}  // namespace signalbox::server
