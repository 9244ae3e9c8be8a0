#include "support/findings.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace examples::theory {
namespace {

/// JSON knows no infinity.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json numbers_or_null(const std::vector<double>& values) {
  auto array = Json::array();
  for (const double value : values) array.push_back(number_or_null(value));
  return array;
}

}  // namespace

Claim::Claim(std::string id, std::string words)
    : id_(std::move(id)),
      measured_(std::numeric_limits<double>::quiet_NaN()),
      limit_(measured_),
      told_({{"words", std::move(words)}}) {}

Claim& Claim::set(const char* key, Json value) {
  told_[key] = std::move(value);
  return *this;
}

Claim& Claim::as_printed() {
  as_printed_ = true;
  return *this;
}

Claim& Claim::measured(std::string what, double value) {
  measured_ = value;
  return set("what", std::move(what));
}

Claim& Claim::hold(std::string relation, double limit, double tolerance, std::string reason) {
  relation_ = std::move(relation);
  limit_ = limit;
  tolerance_ = tolerance;
  return set("reason", std::move(reason));
}

bool Claim::holds() const {
  if (!std::isfinite(measured_)) return false;
  if (relation_ == "≤") return measured_ <= limit_;
  if (relation_ == "≥") return measured_ >= limit_;
  return relation_ == "=" && std::abs(measured_ - limit_) <= tolerance_;
}

Json Claim::to_json() const {
  Json json = {{"id", id_}};
  json.update(told_);
  json.update({{"measured", number_or_null(measured_)},
               {"relation", relation_},
               {"limit", number_or_null(limit_)},
               {"tolerance", tolerance_},
               {"verdict", holds() ? "holds" : "does not hold"},
               {"as_printed", as_printed_},
               {"as_expected", as_expected()}});
  return json;
}

Chart::Chart(std::string title, std::string x, std::string y)
    : json_({{"title", std::move(title)},
             {"x", std::move(x)},
             {"y", std::move(y)},
             {"series", Json::array()},
             {"levels", Json::array()}}) {}

Chart& Chart::set(const char* key, Json value) {
  json_[key] = std::move(value);
  return *this;
}

Chart& Chart::line(std::string label, const std::vector<double>& x, const std::vector<double>& y) {
  json_["series"].push_back({{"label", std::move(label)},
                             {"line", true},
                             {"x", numbers_or_null(x)},
                             {"y", numbers_or_null(y)}});
  return *this;
}

Chart& Chart::points(std::string label, const std::vector<double>& x,
                     const std::vector<double>& y) {
  line(std::move(label), x, y);
  json_["series"].back()["line"] = false;
  return *this;
}

Chart& Chart::level(std::string label, double y) {
  json_["levels"].push_back({{"label", std::move(label)}, {"y", number_or_null(y)}});
  return *this;
}

void Findings::add(const char* kind, Json content) {
  parts_.push_back({{"kind", kind}, {"content", std::move(content)}});
}

Claim& Findings::claim(std::string id, std::string words) {
  const bool is_taken = std::ranges::any_of(claims_, [&](auto& c) { return c.id() == id; });
  TORCH_CHECK(!is_taken, "there are two claims named ", id, ".");
  add("claim", claims_.size());
  return claims_.emplace_back(std::move(id), std::move(words));
}

void Findings::text(std::string html) { add("text", std::move(html)); }

void Findings::chart(const Chart& chart, std::string caption) {
  auto json = chart.json();
  json["caption"] = std::move(caption);
  add("chart", std::move(json));
}

void Findings::table(std::string title, std::vector<std::string> columns,
                     const std::vector<std::vector<Json>>& rows) {
  add("table", {{"title", std::move(title)}, {"columns", std::move(columns)}, {"rows", rows}});
}

void Findings::matrices(std::string title,
                        const std::vector<std::pair<std::string, torch::Tensor>>& shown) {
  auto array = Json::array();
  for (const auto& [name, matrix] : shown) {
    array.push_back({{"title", name}, {"values", examples::to_json(matrix)}});
  }
  add("matrices", {{"title", std::move(title)}, {"matrices", std::move(array)}});
}

int64_t Findings::held() const { return std::ranges::count_if(claims_, &Claim::holds); }

int64_t Findings::unexpected() const {
  return std::ranges::count_if(claims_, [](auto& claim) { return !claim.as_expected(); });
}

Json Findings::to_json() const {
  auto parts = Json::array();
  for (auto part : parts_) {
    if (part["kind"] == "claim") {
      part["content"] = claims_[part["content"].get<size_t>()].to_json();
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

double larger(std::initializer_list<double> numbers) {
  double most = -std::numeric_limits<double>::infinity();
  for (const double number : numbers) {
    if (std::isnan(number)) return number;
    most = std::max(most, number);
  }
  return most;
}

double smaller(double a, double b) { return -larger(-a, -b); }

std::vector<double> numbers(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kCPU, torch::kDouble).contiguous().view(-1);
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

}  // namespace examples::theory
