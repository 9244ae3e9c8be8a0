#include "support/physics.h"

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "support/command_line.h"
#include "support/error_course.h"
#include "support/interruption.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"
#include "support/run_notes.h"

namespace examples {

using torch::Tensor;

Tensor derivative(const Tensor& u, const Tensor& x) {
  return torch::autograd::grad({u.sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
}

Tensor second_derivative(const Tensor& slope, const Tensor& x, int64_t i) {
  return derivative(slope.select(1, i), x).select(1, i);
}

Tensor grid(int64_t n) {
  const auto side = torch::linspace(0, 1, n, torch::kDouble);
  return torch::cartesian_prod({side, side});
}

void add_physics_options(CLI::App& app, PhysicsOptions& options) {
  app.add_option("--seconds", options.seconds, "Of training, each method")
      ->check(CLI::PositiveNumber)
      ->check(not_nan);
  app.add_option("--steps", options.steps,
                 "Of natgrad at most, the others in as many seconds as these take; 0: no limit")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--seeds", options.seeds, "Runs, from --seed on")->check(CLI::Range(1, 100));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
  add_seed(app, options.seed, "Of the start, and of points that are drawn");
  add_output(app, options.output);
  add_resume(app, options.resume);
}

namespace {

constexpr int64_t kIterationsOfLbfgs = 20, kHistory = 50;  // a step; and what L-BFGS remembers
const std::vector<double> kRatesOfAdam{1e-3, 3e-3, 1e-2};

/// A network that is to solve an equation.
class NetworkSolver {
 public:
  /// The same equation and network with every call for a seed.
  NetworkSolver(const std::function<Equation()>& make, uint64_t seed) {
    torch::manual_seed(seed);
    equation_ = make();
    using namespace torch::nn;
    network_ = Sequential(Linear(equation_.interior.size(1), equation_.units), Tanh(),
                          Linear(equation_.units, 1));
    network_->to(torch::kDouble);
    given_ = equation_.solution(equation_.boundary);
    truth_ = equation_.solution(equation_.held_out);
  }

  Tensor u(const Tensor& x) { return network_->forward(x).squeeze(1); }
  Tensor loss() {
    const auto x = equation_.interior.detach().requires_grad_();
    return equation_.residual(u(x), x).square().mean() +
           (u(equation_.boundary) - given_).square().mean();
  }
  double error() {
    const torch::NoGradGuard no_grad;
    return ((u(equation_.held_out) - truth_).norm() / truth_.norm()).item<double>();
  }
  torch::nn::Sequential& network() { return network_; }
  const Equation& equation() const { return equation_; }

 private:
  Equation equation_;
  torch::nn::Sequential network_{nullptr};
  Tensor given_, truth_;
};

ErrorCourse::Look look_at(NetworkSolver& solver) {
  return [&solver] { return std::pair(solver.loss().item<double>(), solver.error()); };
}

/// What one seed led to.
struct Run {
  std::vector<ErrorCurve> curves;
  Tensor exact, found;  // on a grid over the first two coordinates
};

class SeededRun {
 public:
  SeededRun(const PhysicsOptions& options, const std::function<Equation()>& make, int64_t number)
      : options_(options), make_(make), seed_(options.seed + static_cast<uint64_t>(number)) {
    checkpoint_ = options.output + (number == 0 ? "" : fmt::format(".{}", number)) + ".checkpoint";
  }

  Run run() {
    Run run;
    NetworkSolver solver(make_, seed_);
    fmt::print("\n{}, {} points inside, {} on the boundary, seed {}: least squares\n",
               solver.equation().title, solver.equation().interior.size(0),
               solver.equation().boundary.size(0), seed_);
    run.curves.push_back(by_least_squares(solver));
    show(solver, run);
    const double seconds = run.curves.front().seconds.back();
    fmt::print("Adam at {} rates and L-BFGS, {:.2f} s each\n", kRatesOfAdam.size(), seconds);
    for (const double lr : kRatesOfAdam) run.curves.push_back(by_adam(lr, seconds));
    run.curves.push_back(by_lbfgs(seconds));
    return run;
  }
  const std::string& checkpoint() const { return checkpoint_; }

 private:
  std::string describe(const NetworkSolver& solver) const {
    return fmt::format("{}, seed {}", solver.equation().title, seed_);
  }

  ErrorCurve by_least_squares(NetworkSolver& solver) {
    natgrad::NaturalGradient optimizer(solver.network()->parameters(),
                                       natgrad::presets::least_squares());
    ErrorCourse course("natgrad, least squares", look_at(solver));
    if (options_.resume && std::filesystem::exists(checkpoint_)) {
      const auto notes = natgrad::load_checkpoint(solver.network(), optimizer, checkpoint_);
      check_same_run(notes.at("run"), describe(solver), checkpoint_);
      course.go_to(notes.at("place"), notes.at("curve"));
      fmt::print("resumed after {} steps, from {}\n", course.steps(), checkpoint_);
    }
    const auto most = options_.steps > 0 ? options_.steps : std::numeric_limits<int64_t>::max();
    course.run([&] { optimizer.step([&] { return solver.loss(); }); }, options_.seconds, most,
               /*prints=*/true);
    natgrad::save_checkpoint(
        solver.network(), optimizer, checkpoint_,
        {{"run", to_note(describe(solver))}, {"place", course.place()}, {"curve", course.rows()}});
    check_goes_on(fmt::format("training up to step {}", course.steps()));
    return course.finish();
  }

  ErrorCurve by_adam(double lr, double seconds) {
    NetworkSolver solver(make_, seed_);
    torch::optim::Adam optimizer(solver.network()->parameters(), lr);
    const auto step = [&] {
      optimizer.zero_grad();
      solver.loss().backward();
      optimizer.step();
    };
    return course_of(solver, fmt::format("Adam, lr {:g}", lr), step, seconds);
  }

  ErrorCurve by_lbfgs(double seconds) {
    NetworkSolver solver(make_, seed_);
    torch::optim::LBFGS optimizer(solver.network()->parameters(),
                                  torch::optim::LBFGSOptions(1)
                                      .max_iter(kIterationsOfLbfgs)
                                      .history_size(kHistory)
                                      .tolerance_grad(0)
                                      .tolerance_change(0)
                                      .line_search_fn("strong_wolfe"));
    const auto step = [&] {
      optimizer.step([&] {
        optimizer.zero_grad();
        auto loss = solver.loss();
        loss.backward();
        return loss;
      });
    };
    return course_of(solver, "L-BFGS", step, seconds);
  }

  ErrorCurve course_of(NetworkSolver& solver, const std::string& method,
                       const std::function<void()>& step, double seconds) {
    ErrorCourse course(method, look_at(solver));
    course.run(step, seconds, std::numeric_limits<int64_t>::max(), /*prints=*/false);
    check_goes_on("natgrad's training, which is complete,");
    return course.finish();
  }

  void check_goes_on(const std::string& what) const {
    if (!is_interrupted()) return;
    throw Interrupted(
        fmt::format("interrupted; {} is in {}, and --resume goes on from it.", what, checkpoint_));
  }

  static void show(NetworkSolver& solver, Run& run) {
    const torch::NoGradGuard no_grad;
    constexpr int64_t kSide = 61;
    // Where there are more than two coordinates, the others are in the middle.
    const auto plane = grid(kSide);
    const auto others = solver.equation().interior.size(1) - 2;
    const auto x =
        torch::cat({plane, torch::full({plane.size(0), others}, 0.5, torch::kDouble)}, 1);
    run.exact = solver.equation().solution(x).view({kSide, kSide});
    run.found = solver.u(x).view({kSide, kSide});
  }

  const PhysicsOptions& options_;
  const std::function<Equation()>& make_;
  uint64_t seed_;
  std::string checkpoint_;
};

/// The geometric mean over runs of a method's error when a share of its seconds had passed.
double mean_error(const std::vector<Run>& runs, size_t method, double share) {
  double sum = 0;
  for (const auto& run : runs) {
    sum += std::log(run.curves[method].error_after(share * run.curves[method].seconds.back()));
  }
  return std::exp(sum / static_cast<double>(runs.size()));
}

double worst_error(const std::vector<Run>& runs, size_t method) {
  double worst = 0;
  for (const auto& run : runs) {
    const double error = run.curves[method].error.back();
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

void print_table(const std::vector<Run>& runs) {
  const double seconds = runs.front().curves.front().seconds.back();
  fmt::print("\n{:<24}{:>10}{:>8}", "relative error after", "ms a step", "steps");
  const std::vector<double> shares{0.125, 0.25, 0.5, 1};
  for (const double share : shares) fmt::print("{:>11}", fmt::format("{:.3g} s", share * seconds));
  fmt::print("{:>11}\n", "worst seed");
  for (size_t k = 0; k < runs.front().curves.size(); ++k) {
    const auto& curve = runs.front().curves[k];
    fmt::print("{:<24}{:>10.3g}{:>8.0f}", curve.method,
               1e3 * curve.seconds.back() / std::max(curve.steps.back(), 1.), curve.steps.back());
    for (const double share : shares) fmt::print("{:>11.2g}", mean_error(runs, k, share));
    fmt::print("{:>11.2g}\n", worst_error(runs, k));
  }
  fmt::print(
      "A step of L-BFGS is {} of its iterations. Over {} "
      "seed{}, geometric means.\n",
      kIterationsOfLbfgs, runs.size(), runs.size() == 1 ? "" : "s");
}

Json to_json(const ErrorCurve& curve) {
  return {{"method", curve.method},
          {"steps", curve.steps},
          {"loss", curve.loss},
          {"error", curve.error},
          {"seconds", curve.seconds}};
}

void write_results(const PhysicsOptions& options, const Equation& equation,
                   const std::vector<Run>& runs) {
  Json json{{"title", equation.title}, {"axes", equation.axes}};
  for (const auto& run : runs) {
    auto curves = Json::array();
    for (const auto& curve : run.curves) curves.push_back(to_json(curve));
    json["runs"].push_back(curves);
  }
  json["exact"] = examples::to_json(runs.front().exact);
  json["found"] = examples::to_json(runs.front().found);
  write_json(options.output + ".json", json);
  draw_picture("plot_physics.py", options.output);
}

}  // namespace

void solve_by_network(const PhysicsOptions& options, const std::function<Equation()>& make) {
  check_output(options.output);
  std::vector<SeededRun> seeded_runs;
  for (int64_t k = 0; k < options.seeds; ++k) seeded_runs.emplace_back(options, make, k);
  if (options.resume) check_can_resume(seeded_runs.front().checkpoint());
  torch::set_num_threads(options.threads);
  note_interruptions();
  std::vector<Run> runs;
  for (auto& seeded : seeded_runs) runs.push_back(seeded.run());
  print_table(runs);
  write_results(options, make(), runs);
  for (const auto& seeded : seeded_runs) remove_checkpoint(seeded.checkpoint());
}

}  // namespace examples
