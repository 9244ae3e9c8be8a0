#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <vector>

#include "support/json.h"

namespace examples::theory {

/// One claim of the theory with the number that was measured for it. Whether it holds follows from
/// the number and a tolerance alone:
///
///     findings.claim("hessian-splits", "The Hessian is the GGN and a remainder.")
///         .formula("H = G + R").source("P §3").rows({4}).by("hessian(graph), gauss_newton(graph)")
///         .measured("‖H − G − R‖/‖H‖", relative_error(G + R, H))
///         .at_most(1e-10, "rounding of double");
///
/// Words, formulas and reasons are HTML.
class Claim {
 public:
  Claim(std::string id, std::string words);

  Claim& formula(std::string html) { return set("formula", std::move(html)); }
  /// Where the text says so: "P §3, eq. 2".
  Claim& source(std::string place) { return set("source", std::move(place)); }
  /// The rows of the table of claims that this is.
  Claim& rows(std::vector<int> numbers) { return set("rows", std::move(numbers)); }
  /// The library's calls that the number comes from.
  Claim& by(std::string calls) { return set("calls", std::move(calls)); }
  /// How the text has to be read for this to be so.
  Claim& care(std::string words) { return set("care", std::move(words)); }
  /// This is the text as printed, which is a slip: it should not hold.
  Claim& as_printed();

  /// `what` says which number this is.
  Claim& measured(std::string what, double value);
  // What it is held to, and why so much.
  Claim& at_most(double limit, std::string reason) { return hold("≤", limit, 0, reason); }
  Claim& at_least(double limit, std::string reason) { return hold("≥", limit, 0, reason); }
  Claim& near(double expected, double tolerance, std::string reason) {
    return hold("=", expected, tolerance, reason);
  }

  const std::string& id() const { return id_; }
  /// Not where the number is not finite, or none was measured.
  bool holds() const;
  /// Whether it came out as theory says.
  bool as_expected() const { return holds() != as_printed_; }
  Json to_json() const;

 private:
  Claim& set(const char* key, Json value);
  Claim& hold(std::string relation, double limit, double tolerance, std::string reason);

  std::string id_, relation_;
  bool as_printed_ = false;
  double measured_, limit_, tolerance_ = 0;
  Json told_;
};

/// A drawing of lines, or of points; numbers that are not finite are left out.
class Chart {
 public:
  Chart(std::string title, std::string x, std::string y);
  Chart& line(std::string label, const std::vector<double>& x, const std::vector<double>& y);
  /// Points without a line between them.
  Chart& points(std::string label, const std::vector<double>& x, const std::vector<double>& y);
  /// A horizontal line, as a limit that theory gives.
  Chart& level(std::string label, double y);
  Chart& log_x() { return set("x_scale", "log"); }
  Chart& log_y() { return set("y_scale", "log"); }
  /// What is shown along y.
  Chart& range(double low, double high) { return set("y_range", {low, high}); }
  /// Both axes in the same units.
  Chart& equal_axes() { return set("equal_axes", true); }
  const Json& json() const { return json_; }

 private:
  Chart& set(const char* key, Json value);
  Json json_;
};

/// What a part of the theory was found to be: claims with their numbers, drawings and tables, in
/// the order in which they are told.
class Findings {
 public:
  /// The claim stays where it is while more are added. Throws `c10::Error` for an id that is taken.
  Claim& claim(std::string id, std::string words);
  /// A few sentences of HTML between the claims.
  void text(std::string html);
  void chart(const Chart& chart, std::string caption);
  void table(std::string title, std::vector<std::string> columns,
             const std::vector<std::vector<Json>>& rows);
  /// Matrices side by side on one scale of grey.
  void matrices(std::string title, const std::vector<std::pair<std::string, torch::Tensor>>& shown);

  const std::deque<Claim>& claims() const { return claims_; }
  int64_t held() const;
  int64_t unexpected() const;
  /// All parts in order; the claims within.
  Json to_json() const;

 private:
  void add(const char* kind, Json content);

  std::deque<Claim> claims_;
  std::vector<Json> parts_;  ///< a claim's is its place in `claims_`
};

/// The larger, and the smaller, of numbers; NaN if one is, which std::max and std::min may lose.
double larger(std::initializer_list<double> numbers);
inline double larger(double a, double b) { return larger({a, b}); }
double smaller(double a, double b);

/// Numbers as the tables and axes take them.
std::vector<double> numbers(const torch::Tensor& tensor);

}  // namespace examples::theory
