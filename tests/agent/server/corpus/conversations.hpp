// Whole connections: what a client sends, what each request looked like to its handler, how it ended.
//
// Beside request_corpus(), whose rows are one request each and mostly refused, these say where one request
// ends and the next begins: a server and a proxy that differ about that can be made to mix up two clients.
// Names carry the paragraph of RFC 9110 or 9112 that the expectation comes from.
#pragma once

#include <string>
#include <vector>

struct Conversation {
    const char* name;
    std::string bytes;
    /// "200 GET /a?b [body]": the status, and what the handler saw; for a refusal the status alone; for an
    /// interim answer "100"; for the answer to a HEAD request "200 HEAD".
    std::vector<std::string> replies;
    bool kept;  ///< whether the connection takes another request after them
};

/// For a listener with kCorpusLimits that has a handler for every path and GET, POST, PUT, DELETE, PATCH and
/// OPTIONS.
const std::vector<Conversation>& conversation_corpus();
