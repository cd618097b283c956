#include "agent/examples/mailroom/classifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <cmath>

#include "agent/examples/mailroom/encodings.hpp"
#include "agent/examples/mailroom/words.hpp"

namespace mailroom {

namespace {

static_assert(std::is_sorted(kWordWeights.begin(), kWordWeights.end(),
                             [](const WordWeight& a, const WordWeight& b) { return a.word < b.word; }));

/// Of all mail, the part that is spam, as log-odds: somewhat less than half.
constexpr double kPrior = -0.8;
constexpr std::size_t kMaxReasons = 8;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

/// What speaks for and against, with its weight.
class Evidence {
public:
    void add(double weight, std::string reason) {
        log_odds_ += weight;
        items_.push_back({weight, std::move(reason)});
    }
    void add_if(bool condition, double weight, const char* reason) {
        if (condition) add(weight, reason);
    }

    Score score() {
        std::stable_sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
            return std::abs(a.weight) > std::abs(b.weight);
        });
        Score score;
        score.probability = 1 / (1 + std::exp(-log_odds_));
        score.spam = score.probability >= 0.5;
        for (const Item& item : items_) {
            if (score.reasons.size() == kMaxReasons) break;
            score.reasons.push_back(fmt::format("{} ({:+.1f})", item.reason, item.weight));
        }
        return score;
    }

private:
    struct Item {
        double weight;
        std::string reason;
    };
    double log_odds_ = kPrior;
    std::vector<Item> items_;
};

/// Text as a reader of the page sees it: tags become spaces.
std::string without_tags(std::string_view html) {
    std::string text;
    text.reserve(html.size());
    bool in_tag = false;
    for (const char c : html) {
        if (c == '<') in_tag = true;
        if (!in_tag) text += c;
        if (c == '>' && in_tag) {
            in_tag = false;
            text += ' ';
        }
    }
    return text;
}

/// Calls `function` with every run of ASCII letters.
template <class Function>
void for_each_word(std::string_view text, Function function) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at;
        while (end < text.size() && is_letter(text[end]))
            ++end;
        if (end > at) function(text.substr(at, end - at));
        at = end + 1;
    }
}

/// Each known word counts once, however often it comes: repetition is cheap.
class WordScorer {
public:
    explicit WordScorer(Evidence& evidence) : evidence_(evidence) {}

    void read(std::string_view text) {
        for_each_word(text, [this](std::string_view word) { read_word(word); });
    }

private:
    void read_word(std::string_view as_written) {
        if (as_written.size() < 3 || as_written.size() > 20) return;
        const std::string word = lower_case(as_written);
        const auto found =
            std::lower_bound(kWordWeights.begin(), kWordWeights.end(), word,
                             [](const WordWeight& a, std::string_view b) { return a.word < b; });
        if (found == kWordWeights.end() || found->word != word) return;
        const auto index = static_cast<std::size_t>(found - kWordWeights.begin());
        if (seen_.test(index)) return;
        seen_.set(index);
        evidence_.add(found->weight, fmt::format("word '{}'", word));
    }

    Evidence& evidence_;
    std::bitset<kWordWeights.size()> seen_;
};

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t times = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos;
         at = text.find(what, at + what.size()))
        ++times;
    return times;
}

bool links_to_number(std::string_view text) {
    for (std::size_t at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3))
        if (at + 3 < text.size() && text[at + 3] >= '0' && text[at + 3] <= '9') return true;
    return false;
}

bool shouts(std::string_view text) {
    const auto letters = std::count_if(text.begin(), text.end(), is_letter);
    const auto capitals = std::count_if(text.begin(), text.end(), is_upper);
    return letters >= 8 && capitals * 10 >= letters * 8;
}

/// What follows the last '@', up to where an address ends.
std::string domain_of(std::string_view address) {
    const std::size_t at = address.rfind('@');
    if (at == std::string_view::npos) return {};
    const std::string_view rest = address.substr(at + 1);
    return lower_case(rest.substr(0, rest.find_first_of("> \t,;)")));
}

bool runs_when_opened(const Attachment& attachment) {
    const std::string name = lower_case(attachment.file_name);
    constexpr auto kEndings =
        std::to_array<std::string_view>({".exe", ".scr", ".js", ".vbs", ".bat", ".iso", ".lnk"});
    return std::any_of(kEndings.begin(), kEndings.end(),
                       [&](std::string_view end) { return name.ends_with(end); });
}

void weigh_header(const Message& message, Evidence& evidence) {
    evidence.add_if(!message.has_field("From"), 1.2, "no From field");
    evidence.add_if(!message.has_field("Date"), 0.8, "no Date field");
    evidence.add_if(!message.has_field("Message-ID"), 0.7, "no Message-ID field");
    evidence.add_if(message.has_field("In-Reply-To") || message.has_field("References"), -1.5,
                    "answers a letter");
    evidence.add_if(message.has_field("List-Id"), -0.8, "from a mailing list");
    evidence.add_if(shouts(message.field("Subject")), 1.4, "the subject shouts");
    evidence.add_if(count(message.field("Subject"), "!") >= 2, 0.9, "exclamation marks in the subject");
    const std::string from = domain_of(message.field("From"));
    const std::string reply_to = domain_of(message.field("Reply-To"));
    evidence.add_if(!from.empty() && !reply_to.empty() && from != reply_to, 1.1,
                    "answers go to another domain");
}

void weigh_structure(const Message& message, Evidence& evidence) {
    bool any_plain = false;
    bool any_html = false;
    bool numeric_link = false;
    std::size_t links = 0;
    for (const TextPart& part : message.texts) {
        (part.html ? any_html : any_plain) = true;
        links += count(part.text, "http://") + count(part.text, "https://");
        numeric_link = numeric_link || links_to_number(part.text);
    }
    evidence.add_if(any_html && !any_plain, 0.9, "HTML without plain text");
    evidence.add_if(links >= 8, 0.8, "many links");
    evidence.add_if(numeric_link, 1.6, "a link to a bare address");
    const auto& attachments = message.attachments;
    evidence.add_if(std::any_of(attachments.begin(), attachments.end(), runs_when_opened), 2.8,
                    "an attachment that runs");
    for (const Defect defect : message.defects)
        evidence.add(0.6, std::string(to_string(defect)));
}

}  // namespace

Score classify(const Message& message) {
    Evidence evidence;
    weigh_header(message, evidence);
    weigh_structure(message, evidence);
    WordScorer words(evidence);
    words.read(message.field("Subject"));
    for (const TextPart& part : message.texts)
        words.read(part.html ? without_tags(part.text) : part.text);
    return evidence.score();
}

}  // namespace mailroom
