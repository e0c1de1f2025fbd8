package org.qlora4j.task;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** How the values of documents become one number. */
enum Aggregation {
    MEAN {
        @Override
        double of(List<double[]> values) {
            return mean(values);
        }
    },
    MEDIAN {
        @Override
        double of(List<double[]> values) {
            double[] sorted = values.stream().mapToDouble(v -> v[0]).sorted().toArray();
            return sorted[sorted.length / 2];
        }
    },
    NANMEAN {
        @Override
        double of(List<double[]> values) {
            return values.stream()
                    .mapToDouble(v -> v[0])
                    .filter(v -> !Double.isNaN(v))
                    .average()
                    .orElse(Double.NaN);
        }
    },
    PERPLEXITY {
        @Override
        double of(List<double[]> values) {
            return Math.exp(-mean(values));
        }
    },
    WEIGHTED_PERPLEXITY {
        @Override
        double of(List<double[]> values) {
            return Math.exp(-weightedMean(values));
        }
    },
    /** Nats for each weight, which is a token; no task file names it. */
    NATS_PER_WEIGHT {
        @Override
        double of(List<double[]> values) {
            return -weightedMean(values);
        }
    },
    BITS_PER_BYTE {
        @Override
        double of(List<double[]> values) {
            return -weightedMean(values) / Math.log(2);
        }
    },
    BRIER_SCORE {
        /** Mean over documents of the summed squares of probability less truth. */
        @Override
        double of(List<double[]> values) {
            double sum = 0;
            for (double[] v : values) {
                for (int choice = 1; choice < v.length; choice++) {
                    double truth = choice - 1 == (int) v[0] ? 1 : 0;
                    sum += (v[choice] - truth) * (v[choice] - truth);
                }
            }
            return sum / values.size();
        }
    },
    AGG_INST_LEVEL_ACC {
        /** The share of all entries of all documents, of which each has one or more. */
        @Override
        double of(List<double[]> values) {
            double sum = 0;
            double entries = 0;
            for (double[] v : values) {
                sum += Arrays.stream(v).sum();
                entries += v.length;
            }
            return sum / entries;
        }
    },
    F1 {
        /** The label 1 counts, as by scikit-learn's default. */
        @Override
        double of(List<double[]> values) {
            double both = 0;
            double either = 0;
            for (double[] v : values) {
                both += v[0] == 1 && v[1] == 1 ? 2 : 0;
                either += (v[0] == 1 ? 1 : 0) + (v[1] == 1 ? 1 : 0);
            }
            return either == 0 ? 0 : both / either;
        }
    },
    MATTHEWS_CORRCOEF {
        /** For any number of labels (Gorodkin 2004); 0 where a side has one label only. */
        @Override
        double of(List<double[]> values) {
            int labels =
                    1
                            + (int)
                                    values.stream()
                                            .mapToDouble(v -> Math.max(v[0], v[1]))
                                            .max()
                                            .orElse(0);
            double[] gold = new double[labels];
            double[] predicted = new double[labels];
            double same = 0;
            for (double[] v : values) {
                gold[(int) v[0]]++;
                predicted[(int) v[1]]++;
                same += v[0] == v[1] ? 1 : 0;
            }
            double n = values.size();
            double covariance = same * n - dot(gold, predicted);
            double spread = (n * n - dot(gold, gold)) * (n * n - dot(predicted, predicted));
            return spread == 0 ? 0 : covariance / Math.sqrt(spread);
        }
    };

    /** One number of the values of documents: each one number, or with a weight or choices. */
    abstract double of(List<double[]> values);

    /** As task files write it. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Optional<Aggregation> of(String key) {
        return Arrays.stream(values()).filter(a -> a.key().equals(key)).findFirst();
    }

    private static double mean(List<double[]> values) {
        double sum = 0;
        for (double[] value : values) {
            sum += value[0];
        }
        return sum / values.size();
    }

    private static double weightedMean(List<double[]> values) {
        double sum = 0;
        double weights = 0;
        for (double[] value : values) {
            sum += value[0];
            weights += value[1];
        }
        return sum / weights;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
