// Long-range memory: a recurrent network sees five bits, waits for two hundred steps, and has to
// give them back (Hochreiter & Schmidhuber 1997; Martens & Sutskever 2011, "noiseless
// memorization"). Trained by Hessian-free optimization on all 32 sequences, from the same start
// without and with structural damping, which bounds how far a step moves the hidden states.
// `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/curvatures.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "support/command_line.h"
#include "support/interruption.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"
#include "support/run_notes.h"

using torch::Tensor;

namespace {

struct Options {
  int64_t wait = 200, units = 50, steps = 500;
  double seconds = 60, goal = 0.01, mu = 0.1, lambda = 1;
  uint64_t seed = 0;
  int threads = 1;
  std::string output = "recurrent_memory";
  bool resume = false;

  /// What has to be the same for a run to go on.
  std::string describe() const {
    return fmt::format("wait {}, {} units, mu {}, lambda {}, seed {}", wait, units, mu, lambda,
                       seed);
  }
};

constexpr int64_t kBits = 5, kSequences = 1 << kBits;
enum Symbol : uint8_t { kZero, kOne, kNothing, kRecall, kSymbols };

/// All sequences that there are: five bits, nothing, a sign to recall, and five steps to do it in.
struct Sequences {
  explicit Sequences(int64_t wait) {
    const auto numbers = torch::arange(kSequences).unsqueeze(1);
    const auto binary = torch::bitwise_right_shift(numbers, torch::arange(kBits)).remainder(2);
    auto symbols = torch::full({kBits + wait + kBits, kSequences}, kNothing, torch::kLong);
    symbols.slice(0, 0, kBits).copy_(binary.t());
    symbols[kBits + wait - 1].fill_(kRecall);
    input = torch::one_hot(symbols, kSymbols).to(torch::kFloat);
    bits = binary.to(torch::kFloat);
  }
  Tensor input;  // [T, sequences, symbols]
  Tensor bits;   // [sequences, kBits]
};

/// h_t = tanh(W_x x_t + W_h h_{t-1} + b); at the last five steps, a bit's logit is w·h_t + c.
struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(int64_t units)
      : recurrent(register_parameter("recurrent", kGain * orthogonal(units))),
        input(register_module("input", torch::nn::Linear(kSymbols, units))),
        output(register_module("output", torch::nn::Linear(units, 1))) {
    const torch::NoGradGuard no_grad;
    input->weight.normal_(0, kInputScale);
    input->bias.zero_();
    output->weight.normal_(0, 1 / std::sqrt(static_cast<double>(units)));
    output->bias.zero_();
  }

  Tensor forward(const Tensor& x) {
    const auto driven = input->forward(x).unbind();
    Tensor h = torch::zeros_like(driven.front());
    std::vector<Tensor> last;
    for (size_t t = 0; t < driven.size(); ++t) {
      h = natgrad::hidden(torch::tanh(torch::addmm(driven[t], h, recurrent)));
      if (t + kBits >= driven.size()) last.push_back(h);
    }
    return output->forward(torch::stack(last, 1)).squeeze(2);
  }

  static Tensor orthogonal(int64_t n) {
    return std::get<0>(torch::linalg_qr(torch::randn({n, n})));
  }

  // A bit is to survive the wait: states neither die out nor run into saturation at once.
  static constexpr double kGain = 1.1, kInputScale = 0.1;
  Tensor recurrent;
  torch::nn::Linear input, output;
};
TORCH_MODULE(Network);

/// What one way of training did, step by step; step 0 is the start.
struct Curve {
  std::string method;
  std::vector<double> loss, recalled, seconds, lambda;
};

void record(Curve& curve, Network& network, const Sequences& data, double seconds, double lambda) {
  const torch::NoGradGuard no_grad;
  const auto z = network->forward(data.input);
  const auto loss = natgrad::nll(natgrad::Bernoulli(z), data.bits).item<double>();
  const auto right = z.gt(0).eq(data.bits.gt(0.5)).to(torch::kDouble).mean().item<double>();
  curve.loss.push_back(loss);
  curve.recalled.push_back(right);
  curve.seconds.push_back(seconds);
  curve.lambda.push_back(lambda);
  const size_t step = curve.loss.size() - 1;
  if (step % 5 != 0) return;
  fmt::print("step {:3}  loss {:<8.3g}  recalled {:5.1f}%  lambda {:<8.3g}  {:6.1f} s\n", step,
             loss, 100 * right, lambda, seconds);
  std::fflush(stdout);  // progress, also through a pipe
}

/// A way of training.
struct Method {
  std::string name, checkpoint;
  natgrad::NaturalGradientOptions options;
};

void save(const Options& options, const Method& method, const Network& network,
          const natgrad::NaturalGradient& optimizer, const Curve& curve) {
  const auto row = [](const std::vector<double>& v) { return torch::tensor(v, torch::kDouble); };
  const auto rows =
      torch::stack({row(curve.loss), row(curve.recalled), row(curve.seconds), row(curve.lambda)});
  natgrad::save_checkpoint(network, optimizer, method.checkpoint,
                           {{"run", examples::to_note(options.describe())}, {"curve", rows}});
}

void resume(const Options& options, const Method& method, const Network& network,
            natgrad::NaturalGradient& optimizer, Curve& curve) {
  const auto notes = natgrad::load_checkpoint(network, optimizer, method.checkpoint);
  examples::check_same_run(notes.at("run"), options.describe(), method.checkpoint);
  const auto rows = notes.at("curve");
  const auto numbers = [&](int64_t row) {
    const auto* begin = rows[row].data_ptr<double>();
    return std::vector<double>(begin, begin + rows.size(1));
  };
  curve = {method.name, numbers(0), numbers(1), numbers(2), numbers(3)};
  fmt::print("resumed after {} steps, from {}\n", curve.loss.size() - 1, method.checkpoint);
}

Curve train(const Options& options, const Sequences& data, const Method& method) {
  fmt::print("\n{}\n", method.name);
  torch::manual_seed(options.seed);  // the same start for every method
  Network network(options.units);
  natgrad::NaturalGradient optimizer(network->parameters(), method.options);
  Curve curve;
  curve.method = method.name;
  if (options.resume && std::filesystem::exists(method.checkpoint)) {
    resume(options, method, network, optimizer, curve);
  } else {
    record(curve, network, data, 0, options.lambda);
  }
  const auto closure = [&] {
    return natgrad::nll(natgrad::Bernoulli(network->forward(data.input)), data.bits);
  };
  const auto steps = [&] { return static_cast<int64_t>(curve.loss.size()) - 1; };
  while (steps() < options.steps && curve.seconds.back() < options.seconds &&
         curve.loss.back() > options.goal && !examples::is_interrupted()) {
    const auto start = std::chrono::steady_clock::now();
    optimizer.step(closure);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    record(curve, network, data, curve.seconds.back() + taken.count(), optimizer.summary().lambda);
  }
  save(options, method, network, optimizer, curve);
  if (examples::is_interrupted()) {
    throw examples::Interrupted(
        fmt::format("interrupted; {}, up to step {}, is in {}, and --resume goes on from it.",
                    method.name, steps(), method.checkpoint));
  }
  return curve;
}

void print_table(const std::vector<Curve>& curves) {
  fmt::print("\n{:<28}{:>8}{:>12}{:>12}{:>10}\n", "", "steps", "loss", "recalled", "seconds");
  for (const auto& curve : curves) {
    fmt::print("{:<28}{:>8}{:>12.3g}{:>11.1f}%{:>10.1f}\n", curve.method, curve.loss.size() - 1,
               curve.loss.back(), 100 * curve.recalled.back(), curve.seconds.back());
  }
  fmt::print("{:<28}{:>8}{:>12.3g}{:>11.1f}%\n", "a coin for each bit", "", kBits * std::log(2.),
             50.);
}

void write_results(const Options& options, const std::vector<Curve>& curves) {
  examples::Json json{{"title", fmt::format("{} bits remembered for {} steps, {} tanh units", kBits,
                                            options.wait, options.units)},
                      {"chance", kBits * std::log(2.)}};
  for (const auto& curve : curves) {
    json["curves"].push_back({{"method", curve.method},
                              {"loss", curve.loss},
                              {"recalled", curve.recalled},
                              {"seconds", curve.seconds},
                              {"lambda", curve.lambda}});
  }
  examples::write_json(options.output + ".json", json);
  examples::draw_picture("plot_memory.py", options.output);
}

std::vector<Method> methods_of(const Options& options) {
  const auto hessian_free = [&] { return natgrad::presets::hessian_free(options.lambda); };
  return {{"without structural damping", options.output + ".without.checkpoint", hessian_free()},
          {fmt::format("structural damping {}", options.mu), options.output + ".with.checkpoint",
           hessian_free().damping_matrix(natgrad::StructuralDamping(options.mu))}};
}

void run(const Options& options) {
  examples::check_output(options.output);
  const auto methods = methods_of(options);
  if (options.resume) examples::check_can_resume(methods.front().checkpoint);
  torch::set_num_threads(options.threads);
  examples::note_interruptions();
  const Sequences data(options.wait);
  std::vector<Curve> curves;
  for (const auto& method : methods) curves.push_back(train(options, data, method));
  print_table(curves);
  write_results(options, curves);
  for (const auto& method : methods) examples::remove_checkpoint(method.checkpoint);
}

Options parse(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a recurrent network to remember, with and without structural damping.",
               "recurrent_memory");
  app.option_defaults()->always_capture_default();
  app.add_option("--wait", options.wait, "Steps between the bits and their recall")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--units", options.units)->check(CLI::Range(1, 1'000));
  app.add_option("--steps", options.steps, "At most")->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", options.seconds, "Of training at most, each")
      ->check(CLI::PositiveNumber)
      ->check(examples::not_nan);
  app.add_option("--goal", options.goal, "The loss at which training ends")
      ->check(examples::not_nan);
  app.add_option("--mu", options.mu, "Weighs the hidden states' change against the parameters'")
      ->check(CLI::Range(1e-10, 1e10))
      ->check(examples::not_nan);
  app.add_option("--lambda", options.lambda, "The first λ")
      ->check(CLI::Range(1e-10, 1e10))
      ->check(examples::not_nan);
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
  examples::add_seed(app, options.seed, "Of the start");
  examples::add_output(app, options.output);
  examples::add_resume(app, options.resume);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  return examples::exit_code("recurrent_memory", [&] { run(options); });
}
