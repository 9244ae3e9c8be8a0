#include <natgrad/configuration/make_scheduler.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "configuration/settings.h"

namespace natgrad {

namespace {

/// The factor of a rate once t periods have ended.
using Factor = std::function<double(double t)>;
using SchedulerPtr = std::unique_ptr<Scheduler>;
using SchedulerOf = std::function<SchedulerPtr(torch::optim::Optimizer& optimizer)>;

/// LibTorch's scheduler with a rate of lr₀ times the factor.
class FactorLR final : public torch::optim::LRScheduler {
 public:
  FactorLR(torch::optim::Optimizer& optimizer, Factor factor)
      : LRScheduler(optimizer), factor_(std::move(factor)), initial_(get_current_lrs()) {
    LRScheduler::step();  // the factor of t = 0, and the next step is that to 1
  }

 private:
  std::vector<double> get_lrs() override {
    auto rates = initial_;
    for (auto& rate : rates) rate *= factor_(step_count_);
    return rates;
  }

  Factor factor_;
  std::vector<double> initial_;
};

class FactorScheduler final : public Scheduler {
 public:
  FactorScheduler(torch::optim::Optimizer& optimizer, Factor factor)
      : scheduler_(optimizer, std::move(factor)) {}
  void step(std::optional<double>) override { scheduler_.step(); }

 private:
  FactorLR scheduler_;
};

/// PyTorch's rule. LibTorch's own, in 2.13, takes no metric below 0 for the best under "max", and
/// takes a constant one for ever better ones under "min".
class PlateauScheduler final : public Scheduler {
 public:
  struct Rule {
    bool is_lowest = true;  ///< the best metric is
    double factor = 0.1, threshold = 1e-4;
    int64_t patience = 10, cooldown = 0;
  };
  PlateauScheduler(torch::optim::Optimizer& optimizer, Rule rule)
      : optimizer_(optimizer), rule_(rule) {}

  void step(std::optional<double> metric) override {
    TORCH_CHECK_VALUE(metric, "natgrad: \"reduce_on_plateau\" goes by a metric: call step(loss).");
    const double cost = rule_.is_lowest ? *metric : -*metric;
    if (cost < least_cost_ - margin()) {
      least_cost_ = cost;
      bad_periods_ = 0;
    } else {
      ++bad_periods_;
    }
    if (cooling_ > 0) {
      --cooling_;
      bad_periods_ = 0;
    }
    if (bad_periods_ > rule_.patience) reduce();
  }

 private:
  double margin() const {
    return std::isfinite(least_cost_) ? rule_.threshold * std::abs(least_cost_) : 0;
  }
  void reduce() {
    for (auto& group : optimizer_.param_groups()) {
      auto& options = group.options();
      options.set_lr(options.get_lr() * rule_.factor);
    }
    cooling_ = rule_.cooldown;
    bad_periods_ = 0;
  }

  torch::optim::Optimizer& optimizer_;
  Rule rule_;
  double least_cost_ = std::numeric_limits<double>::infinity();
  int64_t bad_periods_ = 0, cooling_ = 0;
};

double positive(Settings& s, const char* name) {
  s.require(name);
  const double value = s.get(name, 0.);
  if (!(value > 0)) s.refuse(name, *s.find(name), "a number above 0");
  return value;
}

Factor step_factor(Settings& s) {
  const double size = positive(s, "step_size"), gamma = s.get("gamma", 0.1);
  return [=](double t) { return std::pow(gamma, std::floor(t / size)); };
}

Factor multistep_factor(Settings& s) {
  s.require("milestones");
  const auto milestones = s.get<std::vector<double>>("milestones", {});
  const double gamma = s.get("gamma", 0.1);
  return [=](double t) {
    return std::pow(gamma, std::count_if(milestones.begin(), milestones.end(),
                                         [&](double milestone) { return milestone <= t; }));
  };
}

Factor exponential_factor(Settings& s) {
  const double gamma = positive(s, "gamma");
  return [=](double t) { return std::pow(gamma, t); };
}

Factor polynomial_factor(Settings& s) {
  const double periods = positive(s, "periods"), power = s.get("power", 1.);
  return [=](double t) { return std::pow(1 - std::min(t / periods, 1.), power); };
}

Factor cosine_factor(Settings& s) {
  const double periods = positive(s, "periods"), least = s.get("least", 0.);
  return [=](double t) {
    const double angle = std::numbers::pi * std::min(t / periods, 1.);
    return least + (1 - least) * (1 + std::cos(angle)) / 2;
  };
}

/// With the first periods in equal parts up to that factor.
std::function<SchedulerOf(Settings&)> by_factor(Factor (*read)(Settings&)) {
  return [read](Settings& s) -> SchedulerOf {
    const auto factor = read(s);
    const auto warmup = static_cast<double>(s.get<uint64_t>("warmup", 0));
    if (const auto* periods = s.find("periods"); periods && warmup >= periods->get<double>()) {
      s.refuse("warmup", *s.find("warmup"), "fewer periods than \"periods\", " + periods->dump());
    }
    const Factor warmed = [=](double t) {
      return std::min((t + 1) / (warmup + 1), 1.) * factor(t);
    };
    return [=](torch::optim::Optimizer& optimizer) {
      return std::make_unique<FactorScheduler>(optimizer, warmed);
    };
  };
}

SchedulerOf reduce_on_plateau(Settings& s) {
  PlateauScheduler::Rule rule;
  s.choose("mode", {{"min", true}, {"max", false}}, rule.is_lowest);
  s.read("factor", rule.factor);
  s.read("threshold", rule.threshold);
  s.read("patience", rule.patience);
  s.read("cooldown", rule.cooldown);
  return [=](torch::optim::Optimizer& optimizer) {
    return std::make_unique<PlateauScheduler>(optimizer, rule);
  };
}

const Makers<SchedulerOf>& scheduler_makers() {
  static const Makers<SchedulerOf> makers = {
      {"constant", by_factor([](Settings&) -> Factor { return [](double) { return 1.; }; })},
      {"step", by_factor(step_factor)},
      {"multistep", by_factor(multistep_factor)},
      {"exponential", by_factor(exponential_factor)},
      {"polynomial", by_factor(polynomial_factor)},
      {"cosine", by_factor(cosine_factor)},
      {"reduce_on_plateau", reduce_on_plateau}};
  return makers;
}

}  // namespace

SchedulerPtr make_scheduler(torch::optim::Optimizer& optimizer, const std::string& json) {
  auto settings = Settings::parse("the scheduler", json);
  return make(settings, scheduler_makers())(optimizer);
}

}  // namespace natgrad
