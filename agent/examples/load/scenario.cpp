#include "agent/examples/load/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace signalbox::load {

namespace {

constexpr std::size_t kDistinctRequests = 600;
constexpr double kMedianLetterBytes = 4000;
constexpr double kMostLetterBytes = 400'000;

constexpr auto kNeutralWords = std::to_array<std::string_view>(
    {"about", "again",  "and",   "are",  "as",     "been",   "but",  "could", "for",   "from",  "have",
     "here",  "into",   "it",    "just", "letter", "little", "made", "more",  "of",    "on",    "other",
     "over",  "people", "right", "some", "still",  "such",   "that", "the",   "their", "there", "these",
     "this",  "to",     "two",   "very", "was",    "we",     "were", "when",  "which", "with",  "you"});
constexpr auto kHamWords = std::to_array<std::string_view>(
    {"agenda",  "attached", "branch",   "build",   "deadline", "draft", "friday", "issue",
     "lunch",   "meeting",  "merge",    "minutes", "monday",   "notes", "patch",  "project",
     "release", "review",   "schedule", "slides",  "team",     "thanks"});
constexpr auto kSpamWords = std::to_array<std::string_view>(
    {"bitcoin", "bonus",      "casino",      "cheap",   "click",  "credit",   "dollars", "earn",
     "free",    "guaranteed", "inheritance", "jackpot", "loan",   "lottery",  "million", "money",
     "offer",   "pills",      "prize",       "urgent",  "winner", "unlimited"});

template <class Words>
std::string_view pick(const Words& words, std::mt19937_64& random) {
    return words[random() % words.size()];
}

bool one_in(unsigned n, std::mt19937_64& random) {
    return random() % n == 0;
}

std::string_view word(bool spam, std::mt19937_64& random) {
    if (!one_in(8, random)) return pick(kNeutralWords, random);
    return spam ? pick(kSpamWords, random) : pick(kHamWords, random);
}

std::string prose(std::size_t bytes, bool spam, std::mt19937_64& random) {
    std::string text;
    std::size_t line_start = 0;
    while (text.size() < bytes) {
        text += word(spam, random);
        const bool wraps = text.size() - line_start > 66;
        text += wraps ? "\r\n" : " ";
        if (wraps) line_start = text.size();
    }
    return text + "\r\n";
}

/// Like base64 of something; what it decodes to is nobody's concern.
std::string attachment_lines(std::size_t bytes, std::mt19937_64& random) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    while (text.size() < bytes) {
        for (int i = 0; i < 76; ++i)
            text += kDigits[random() % kDigits.size()];
        text += "\r\n";
    }
    return text;
}

std::string letter_header(bool spam, std::mt19937_64& random) {
    const std::uint64_t number = random() % 1'000'000;
    std::string header = fmt::format(
        "Received: from relay{}.example.net by mx.example.org; Fri, 6 Mar 2026 09:12:{:02} +0000\r\n",
        number % 7, number % 60);
    if (spam) {
        header += fmt::format(
            "From: \"Claims Office\" <office{}@example.com>\r\nReply-To: claims@example.net\r\n", number);
        header += fmt::format("Subject: YOUR {} IS WAITING!!\r\n", pick(kSpamWords, random));
    } else {
        header += fmt::format("From: =?utf-8?Q?Zo=C3=AB?= <zoe{}@example.org>\r\nTo: team@example.org\r\n",
                              number % 40);
        header += "Date: Fri, 6 Mar 2026 09:12:00 +0000\r\n";
        header += fmt::format("Message-ID: <{}@example.org>\r\n", number);
        header += fmt::format("Subject: Re: {}\r\nIn-Reply-To: <1@example.org>\r\n", pick(kHamWords, random));
    }
    return header + "MIME-Version: 1.0\r\n";
}

std::size_t letter_size(std::mt19937_64& random) {
    std::normal_distribution<double> spread(0, 1.1);
    return static_cast<std::size_t>(
        std::min(kMedianLetterBytes * std::exp(spread(random)), kMostLetterBytes));
}

}  // namespace

std::string generate_letter(std::mt19937_64& random) {
    const bool spam = one_in(3, random);
    const std::size_t size = letter_size(random);
    const std::string header = letter_header(spam, random);
    if (!one_in(3, random))
        return header + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + prose(size, spam, random);
    const std::string part = "--=_limit\r\n";
    return header + "Content-Type: multipart/mixed; boundary=\"=_limit\"\r\n\r\n" + part +
           "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
           prose(size / 3, spam, random) + part +
           "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>" + prose(size / 3, spam, random) +
           "</p></body></html>\r\n" + part +
           "Content-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
           attachment_lines(size / 3, random) + "--=_limit--\r\n";
}

PreparedRequest prepare(const Target& target, std::string_view method, std::string_view path,
                        std::string_view body, bool keep_alive) {
    PreparedRequest request;
    request.is_head = method == "HEAD";
    request.bytes = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: signalbox-load\r\n", method, path,
                                target.authority);
    if (!keep_alive) request.bytes += "Connection: close\r\n";
    if (!body.empty() || method == "POST" || method == "PUT")
        request.bytes += fmt::format("Content-Length: {}\r\n", body.size());
    request.bytes += "\r\n";
    request.bytes += body;
    return request;
}

Scenario Scenario::single(PreparedRequest request) {
    Scenario scenario;
    scenario.requests_.push_back(std::move(request));
    return scenario;
}

Scenario Scenario::mailroom(const Target& target, bool keep_alive, std::uint64_t seed) {
    Scenario scenario;
    scenario.random_.seed(seed);
    std::string base = target.path.substr(0, target.path.find('?'));
    while (base.ends_with('/'))
        base.pop_back();
    for (std::size_t i = 0; i < kDistinctRequests; ++i) {
        if (i % 3 == 0)
            scenario.requests_.push_back(prepare(target, "GET", base + "/hello", {}, keep_alive));
        else
            scenario.requests_.push_back(
                prepare(target, "POST", base + "/classify", generate_letter(scenario.random_), keep_alive));
    }
    return scenario;
}

const PreparedRequest& Scenario::next() {
    return requests_.size() == 1 ? requests_.front() : requests_[random_() % requests_.size()];
}

}  // namespace signalbox::load
