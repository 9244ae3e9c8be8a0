// Variational inference with a discrete q_θ, as the blog post on natural gradients has it: a ring
// of spins in random fields, p(x) ∝ exp(-E(x)), and independent spins under q (mean-field theory),
// or pairs of neighbours coupled. Natural gradient, plain gradient at the best of several rates,
// and both again with one field measured in a unit a hundred times smaller. `--help` lists the
// options.

#include <fmt/format.h>
#include <natgrad/variational.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <limits>
#include <optional>

#include "support/command_line.h"
#include "support/json.h"
#include "support/output_files.h"

using torch::Tensor;

namespace {

struct Options {
  uint64_t seed = 0;
  int64_t spins = 8;
  std::string output = "discrete_variational";
};

/// How near to the smallest divergence a run has to come, in nats.
constexpr double kGoal = 1e-6;
constexpr int kMostSteps = 1000;

/// All {±1}ⁿ, [2ⁿ, n].
Tensor all_states(int64_t n) {
  const auto number = torch::arange(int64_t{1} << n).unsqueeze(1);
  const auto bits = number.bitwise_right_shift(torch::arange(n)).bitwise_and(1);
  return 2 * bits.to(torch::kDouble) - 1;
}

struct Ring {
  Tensor x, neighbours, log_p;

  explicit Ring(int64_t spins) : x(all_states(spins)), neighbours(x * x.roll(1, 1)) {
    const auto fields = 0.5 * torch::randn({spins}, torch::kDouble);
    const auto couplings = 0.4 + 0.3 * torch::randn({spins}, torch::kDouble);
    // One spin at a distance as well, or coupled pairs would be p itself.
    log_p = x.mv(fields) + neighbours.mv(couplings) + 0.3 * (x * x.roll(3, 1)).sum(1);
  }
};

/// log q = T θ up to its normaliser, with θ in units of its own.
struct Family {
  std::string name;
  Tensor statistics;

  Tensor units(double first) const {
    auto units = torch::ones({statistics.size(1)}, torch::kDouble);
    units[0] = first;
    return units;
  }
  natgrad::DiscreteVI start(const Ring& ring, double first_unit) const {
    const auto scaled = statistics * units(first_unit);
    return {ring.log_p, [scaled](const Tensor& theta) { return scaled.mv(theta); },
            torch::zeros({statistics.size(1)}, torch::kDouble)};
  }
};

/// What is left of the divergence after many natural steps: its least.
double least_divergence(const Family& family, const Ring& ring) {
  auto vi = family.start(ring, 1);
  for (int k = 0; k < 200; ++k) vi.step();
  return vi.divergence();
}

/// Steps to the goal.
std::optional<int> natural_steps(const Family& family, const Ring& ring, double unit,
                                 double least) {
  auto vi = family.start(ring, unit);
  for (int k = 0; k <= kMostSteps; ++k) {
    if (vi.divergence() < least + kGoal) return k;
    vi.step();
  }
  return std::nullopt;
}

/// The same of θ - η ∇D by autograd.
std::optional<int> plain_steps(const Family& family, const Ring& ring, double unit, double least,
                               double rate) {
  const auto scaled = family.statistics * family.units(unit);
  const double log_z = ring.log_p.logsumexp(0).item<double>();
  auto theta = torch::zeros({scaled.size(1)}, torch::kDouble).requires_grad_();
  for (int k = 0; k <= kMostSteps; ++k) {
    const auto log_q = scaled.mv(theta).log_softmax(0);
    const auto divergence = (log_q.exp() * (log_q - ring.log_p)).sum() + log_z;
    const double now = divergence.item<double>();
    if (now < least + kGoal) return k;
    if (!std::isfinite(now)) return std::nullopt;
    const auto gradient = torch::autograd::grad({divergence}, {theta})[0];
    theta = (theta - rate * gradient).detach().requires_grad_();
  }
  return std::nullopt;
}

examples::Json number_of(const std::optional<int>& steps) {
  return steps ? examples::Json(*steps) : examples::Json();
}

std::string text_of(const std::optional<int>& steps) {
  return steps ? fmt::format("{}", *steps) : fmt::format("> {}", kMostSteps);
}

/// At the rate that takes fewest steps.
std::optional<int> best_plain_steps(const Family& family, const Ring& ring, double unit,
                                    double least) {
  std::optional<int> best;
  for (const double rate : {1., 0.5, 0.2, 0.1, 0.05, 0.01, 1e-3, 1e-4}) {
    const auto steps = plain_steps(family, ring, unit, least, rate);
    if (steps && (!best || *steps < *best)) best = steps;
  }
  return best;
}

/// Throws unless the natural gradient comes there, as fast in any unit.
examples::Json compare(const Family& family, const Ring& ring) {
  const double least = least_divergence(family, ring);
  fmt::print("\n{}: {} parameters; least D(q‖p) = {:.6f} nats\n", family.name,
             family.statistics.size(1), least);
  fmt::print("  {:<36}{:>10}{:>10}\n", "steps to 1e-6 nats of it", "natural", "plain");
  examples::Json found = {{"family", family.name}, {"least_divergence", least}};
  std::optional<int> before;
  for (const double unit : {1., 100.}) {
    const auto natural = natural_steps(family, ring, unit, least),
               plain = best_plain_steps(family, ring, unit, least);
    fmt::print("  {:<36}{:>10}{:>10}\n",
               unit == 1 ? "as it is" : "one field in hundredths of its unit", text_of(natural),
               text_of(plain));
    found["steps"].push_back(
        {{"unit", 1 / unit}, {"natural", number_of(natural)}, {"plain", number_of(plain)}});
    TORCH_CHECK(natural && (!before || std::abs(*natural - *before) <= 1),
                "the natural gradient does not come there as fast in any unit.");
    before = natural;
  }
  return found;
}

void run(const Options& options) {
  examples::check_output(options.output);
  torch::manual_seed(options.seed);
  const Ring ring(options.spins);
  fmt::print("a ring of {} spins, {} states, seed {}; plain: the best of eight rates\n",
             options.spins, ring.x.size(0), options.seed);
  auto found = examples::Json::array();
  found.push_back(compare({"independent spins (mean field)", ring.x}, ring));
  found.push_back(compare({"neighbours coupled", torch::cat({ring.x, ring.neighbours}, 1)}, ring));
  examples::write_json(options.output + ".json", found);
}

Options parse_command_line(int argc, char** argv) {
  CLI::App app("Natural-gradient variational inference with a discrete q", "discrete_variational");
  app.option_defaults()->always_capture_default();
  Options options;
  examples::add_seed(app, options.seed, "Of the fields and couplings");
  app.add_option("--spins", options.spins)->check(CLI::Range(4, 14))->type_name("N");
  examples::add_output(app, options.output);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_command_line(argc, argv);
  return examples::exit_code("discrete_variational", [&] { run(options); });
}
