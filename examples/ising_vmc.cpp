// Variational Monte Carlo: the ground state of a ring of spins in a transverse field at its
// critical point, by a restricted Boltzmann machine for log ψ. Trained by stochastic
// reconfiguration and by SPRING (Goldshlager, Abrahamsen & Lin 2024), and by Adam in as many
// seconds; the energy's error is told against the exact one. `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>

#include "support/command_line.h"
#include "support/interruption.h"
#include "support/ising.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"
#include "support/run_notes.h"

using torch::Tensor;

namespace {

constexpr int64_t kMostSpinsOfSum = 20;  // 2²⁰ configurations take half a second
constexpr int64_t kLookInterval = 20;    // steps between two sums over all of them
constexpr int64_t kLooksAtAdam = 10;
constexpr int64_t kLastSteps = 50;  // whose energies are averaged
const std::vector<double> kRatesOfAdam{1e-3, 3e-3, 1e-2};

struct Options {
  examples::IsingChain chain;
  int64_t hidden = 20, samples = 1024, steps = 300, sweeps = 2;
  double rate = 0.05, shift = 0.01, momentum = 0.9, memory_doubling = 100;
  uint64_t seed = 0;
  int threads = 1;
  std::string output = "ising_vmc";
  bool in_double = false, resume = false;

  torch::Dtype dtype() const { return in_double ? torch::kDouble : torch::kFloat; }

  /// What has to be the same for a run to go on.
  std::string describe() const {
    return fmt::format(
        "{} spins, J {}, h {}, {} hidden units, {} samples, {} sweeps, rate {}, shift {}, "
        "momentum {} doubled after {}, seed {}, {}",
        chain.spins, chain.coupling, chain.field, hidden, samples, sweeps, rate, shift, momentum,
        memory_doubling, seed, in_double ? "float64" : "float32");
  }
};

/// log ψ(x) = a·x + Σ log 2cosh(W x + b) (Carleo & Troyer 2017), with real parameters.
struct MachineImpl : torch::nn::Module {
  MachineImpl(int64_t spins, int64_t hidden)
      : visible(register_module("visible",
                                torch::nn::Linear(torch::nn::LinearOptions(spins, 1).bias(false)))),
        to_hidden(register_module("hidden", torch::nn::Linear(spins, hidden))) {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : parameters()) parameter.normal_(0, kStart);
  }

  Tensor forward(const Tensor& x) {
    const auto y = to_hidden->forward(x);
    // log 2cosh y = log(1 + exp(2y)) - y
    const auto log_cosh = 2 * torch::softplus(y, /*beta=*/2).sum(1) - y.sum(1);
    return visible->forward(x).squeeze(1) + log_cosh;
  }

  static constexpr double kStart = 0.01;
  torch::nn::Linear visible, to_hidden;
};
TORCH_MODULE(Machine);

struct Method {
  std::string name, checkpoint = {};
  std::optional<natgrad::NaturalGradientOptions> options = {};  // none: Adam
  double lr = 0;
};

std::vector<Method> methods_of(const Options& options) {
  namespace presets = natgrad::presets;
  std::vector<Method> methods{
      {"stochastic reconfiguration", options.output + ".sr.checkpoint",
       presets::stochastic_reconfiguration(options.rate, options.shift)},
      {"SPRING", options.output + ".spring.checkpoint",
       presets::spring(options.rate, options.shift, options.momentum, options.memory_doubling)}};
  for (const double lr : kRatesOfAdam)
    methods.push_back({.name = fmt::format("Adam, lr {:g}", lr), .lr = lr});
  return methods;
}

/// What a method led to, step by step; `exact_steps` are those with a sum over all configurations.
struct Curve {
  std::string method;
  std::vector<double> energy, deviation, seconds, exact_steps, exact;
};

/// Seconds that the parts of steps have taken.
struct Clock {
  double sampling = 0, energies = 0, step = 0;

  static void add(double& sum, const std::function<void()>& part) {
    const auto start = std::chrono::steady_clock::now();
    part();
    sum += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double total() const { return sampling + energies + step; }
};

/// The same machine with every call, and the same random numbers after it.
Machine make_machine(const Options& options) {
  torch::manual_seed(options.seed);
  Machine machine(options.chain.spins, options.hidden);
  machine->to(options.dtype());
  return machine;
}

/// One training: the machine, its samples, and an optimizer's step on an objective.
class Training {
 public:
  Training(const Options& options, const Method& method)
      : options_(options),
        machine_(make_machine(options)),
        chains_(options.samples, options.chain.spins, options.dtype()) {
    curve_.method = method.name;
    chains_.advance(log_psi(), kBurnIn);
  }

  Machine& machine() { return machine_; }
  int64_t steps() const { return static_cast<int64_t>(curve_.energy.size()); }
  double seconds() const { return curve_.seconds.empty() ? 0 : curve_.seconds.back(); }
  Curve& curve() { return curve_; }
  const Clock& clock() const { return clock_; }

  /// `step` has the optimizer step on what `objective` answers, whose gradient is ∇E.
  void take_step(const std::function<void(const std::function<Tensor()>& objective)>& step) {
    const double before = clock_.total();
    Clock::add(clock_.sampling, [&] { chains_.advance(log_psi(), options_.sweeps); });
    const auto& x = chains_.configurations();
    Tensor energies;
    Clock::add(clock_.energies, [&] {
      const torch::NoGradGuard no_grad;
      energies = local_energies(options_.chain, x, machine_->forward(x), log_psi());
    });
    Clock::add(clock_.step, [&] {
      step([&] {
        const auto log_amplitudes = natgrad::outputs(machine_->forward(x));
        return 2 * ((energies - energies.mean()) * log_amplitudes).mean();
      });
    });
    curve_.energy.push_back(energies.mean().item<double>());
    curve_.deviation.push_back(energies.std().item<double>());
    curve_.seconds.push_back(seconds() + clock_.total() - before);
  }

  bool can_sum() const { return options_.chain.spins <= kMostSpinsOfSum; }
  /// Notes the energy by a sum over all configurations.
  void look() {
    if (!can_sum()) return;
    curve_.exact_steps.push_back(static_cast<double>(steps()));
    curve_.exact.push_back(energy_of_all(options_.chain, log_psi()));
  }

  void save(const natgrad::NaturalGradient& optimizer, const std::string& path) const {
    const auto stack = [](std::initializer_list<std::vector<double>> rows) {
      std::vector<Tensor> tensors;
      for (const auto& row : rows) tensors.push_back(torch::tensor(row, torch::kDouble));
      return torch::stack(tensors);
    };
    natgrad::save_checkpoint(machine_, optimizer, path,
                             {{"run", examples::to_note(options_.describe())},
                              {"chains", chains_.configurations()},
                              {"curve", stack({curve_.energy, curve_.deviation, curve_.seconds})},
                              {"looks", stack({curve_.exact_steps, curve_.exact})}});
  }
  void resume(natgrad::NaturalGradient& optimizer, const std::string& path) {
    const auto notes = natgrad::load_checkpoint(machine_, optimizer, path);
    examples::check_same_run(notes.at("run"), options_.describe(), path);
    chains_.set_configurations(notes.at("chains"));
    const auto numbers = [&](const char* name, int64_t row) {
      const auto rows = notes.at(name);
      const auto* begin = rows[row].data_ptr<double>();
      return std::vector<double>(begin, begin + rows.size(1));
    };
    curve_ = {curve_.method,       numbers("curve", 0), numbers("curve", 1),
              numbers("curve", 2), numbers("looks", 0), numbers("looks", 1)};
    fmt::print("resumed after {} steps, from {}\n", steps(), path);
  }

 private:
  static constexpr int64_t kBurnIn = 10;  // sweeps

  examples::LogAmplitude log_psi() {
    return [this](const Tensor& x) { return machine_->forward(x.to(options_.dtype())); };
  }

  const Options& options_;
  Machine machine_;
  examples::MetropolisChains chains_;
  Curve curve_;
  Clock clock_;
};

double relative_error(const Options& options, double energy) {
  const double exact = ground_energy(options.chain);
  return (energy - exact) / std::abs(exact);
}

void print_progress(const Options& options, const Training& training, const Curve& curve) {
  fmt::print("step {:4}  energy {:<10.6f} ± {:<8.1g} relative error {:<9.2g} {:6.2f} s\n",
             training.steps(), curve.energy.back(),
             curve.deviation.back() / std::sqrt(static_cast<double>(options.samples)),
             relative_error(options, training.can_sum() ? curve.exact.back() : curve.energy.back()),
             training.seconds());
  std::fflush(stdout);
}

void print_times(const Training& training) {
  const auto& clock = training.clock();
  const double ms = 1e3 / static_cast<double>(std::max<int64_t>(training.steps(), 1));
  fmt::print("ms a step: {:.2f} sampling, {:.2f} local energies, {:.2f} natgrad's step\n",
             ms * clock.sampling, ms * clock.energies, ms * clock.step);
}

Curve train(const Options& options, const Method& method) {
  fmt::print("\n{}\n", method.name);
  Training training(options, method);
  natgrad::NaturalGradient optimizer(training.machine()->parameters(), *method.options);
  if (options.resume && std::filesystem::exists(method.checkpoint)) {
    training.resume(optimizer, method.checkpoint);
  }
  while (training.steps() < options.steps && !examples::is_interrupted()) {
    training.take_step([&](const auto& objective) { optimizer.step(objective()); });
    if (training.steps() % kLookInterval == 0 || training.steps() == options.steps) {
      training.look();
      print_progress(options, training, training.curve());
    }
  }
  training.save(optimizer, method.checkpoint);
  if (examples::is_interrupted()) {
    throw examples::Interrupted(
        fmt::format("interrupted; {}, up to step {}, is in {}, and --resume goes on from it.",
                    method.name, training.steps(), method.checkpoint));
  }
  print_times(training);
  return training.curve();
}

Curve train_with_adam(const Options& options, const Method& method, double seconds,
                      const std::string& checkpoint) {
  Training training(options, method);
  torch::optim::Adam optimizer(training.machine()->parameters(), method.lr);
  int64_t looks = 0;
  while (looks < kLooksAtAdam) {
    training.take_step([&](const auto& objective) {
      optimizer.zero_grad();
      objective().backward();
      optimizer.step();
    });
    if (training.seconds() >= seconds * static_cast<double>(looks + 1) / kLooksAtAdam) {
      training.look();
      ++looks;
    }
    if (examples::is_interrupted()) {
      throw examples::Interrupted(fmt::format(
          "interrupted; natgrad's training, which is complete, is in {}, and --resume goes on "
          "from it.",
          checkpoint));
    }
  }
  return training.curve();
}

/// Of the energies that the last steps' samples had.
double mean_of_last(const Curve& curve) {
  const auto count = std::min<int64_t>(kLastSteps, static_cast<int64_t>(curve.energy.size()));
  double sum = 0;
  for (auto e = curve.energy.end() - count; e != curve.energy.end(); ++e) sum += *e;
  return sum / static_cast<double>(count);
}

void print_table(const Options& options, const std::vector<Curve>& curves) {
  fmt::print("\n{}; exact energy {:.9f}, by free fermions\n", options.describe(),
             ground_energy(options.chain));
  fmt::print("{:<28}{:>7}{:>10}{:>22}{:>34}\n", "relative error of the energy", "steps", "seconds",
             fmt::format("of the last {} steps", kLastSteps), "of all configurations, at end");
  for (const auto& curve : curves) {
    const double last = relative_error(options, mean_of_last(curve));
    const double end = curve.exact.empty() ? std::numeric_limits<double>::quiet_NaN()
                                           : relative_error(options, curve.exact.back());
    fmt::print("{:<28}{:>7}{:>10.2f}{:>22.2g}{:>34.3g}\n", curve.method, curve.energy.size(),
               curve.seconds.back(), last, end);
  }
}

void write_results(const Options& options, const std::vector<Curve>& curves) {
  const double exact = ground_energy(options.chain);
  examples::Json json{{"title", options.describe()}, {"exact_energy", exact}};
  for (const auto& curve : curves) {
    std::vector<double> errors, sampled;
    for (const double e : curve.exact) errors.push_back(relative_error(options, e));
    for (const double e : curve.energy) sampled.push_back(relative_error(options, e));
    json["curves"].push_back({{"method", curve.method},
                              {"loss", curve.energy},
                              {"sampled_error", sampled},
                              {"deviation", curve.deviation},
                              {"seconds", curve.seconds},
                              {"exact_steps", curve.exact_steps},
                              {"error", errors}});
  }
  examples::write_json(options.output + ".json", json);
  examples::draw_picture("plot_energies.py", options.output);
}

void run(const Options& options) {
  examples::check_output(options.output);
  const auto methods = methods_of(options);
  if (options.resume) examples::check_can_resume(methods.front().checkpoint);
  torch::set_num_threads(options.threads);
  examples::note_interruptions();
  std::vector<Curve> curves;
  for (const auto& method : methods) {
    curves.push_back(method.options ? train(options, method)
                                    : train_with_adam(options, method, curves[1].seconds.back(),
                                                      methods[1].checkpoint));
  }
  print_table(options, curves);
  write_results(options, curves);
  for (const auto& method : methods) {
    if (method.options) examples::remove_checkpoint(method.checkpoint);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  CLI::App app("Finds the ground state of an Ising ring by variational Monte Carlo.", "ising_vmc");
  app.option_defaults()->always_capture_default();
  const auto add_number = [&](const char* name, double& number, const char* description) {
    app.add_option(name, number, description)->check(CLI::Range(0., 1e6))->check(examples::not_nan);
  };
  const auto add_count = [&](const char* name, int64_t& count, int64_t most,
                             const char* description) {
    app.add_option(name, count, description)->check(CLI::Range(int64_t{1}, most));
  };
  app.add_option("--spins", options.chain.spins)->check(CLI::Range(3, 1000));
  add_number("--coupling", options.chain.coupling, "J");
  add_number("--field", options.chain.field, "h");
  add_count("--hidden", options.hidden, 10'000, "Hidden units");
  add_count("--samples", options.samples, 1'000'000, "A step, each of a Markov chain of its own");
  add_count("--sweeps", options.sweeps, 1'000, "Of the chains, before each step");
  add_count("--steps", options.steps, 1'000'000, "Of natgrad");
  app.add_option("--rate", options.rate)->check(CLI::PositiveNumber)->check(examples::not_nan);
  app.add_option("--shift", options.shift, "λ of S + λI")
      ->check(CLI::PositiveNumber)
      ->check(examples::not_nan);
  app.add_option("--momentum", options.momentum, "μ of SPRING")
      ->check(CLI::Range(0., 0.9999))
      ->check(examples::not_nan);
  app.add_option("--memory-doubling", options.memory_doubling,
                 "Of SPRING, the steps after which its memory has doubled; inf: a fixed one")
      ->check(CLI::PositiveNumber)
      ->check(examples::not_nan);
  app.add_flag("--double", options.in_double, "In float64 in place of float32");
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
  examples::add_seed(app, options.seed, "Of the start and of the samples");
  examples::add_output(app, options.output);
  examples::add_resume(app, options.resume);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  return examples::exit_code("ising_vmc", [&] { run(options); });
}
