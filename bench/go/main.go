// The Go side of the benchmark: client_golang's counters, histograms and text page.
//
// It reads lines "NAME COUNT" from its standard input, does what NAME says COUNT times, and answers each with
// "NANOSECONDS LINES", where LINES are the sample lines of the page that was written, if one was. So the Python side
// can let it take its turns among the others.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

type action func(count int) (time.Duration, int)

// cpu is the CPU time of the process with all its threads, its garbage collector's included.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func timed(body func(count int)) action {
	return func(count int) (time.Duration, int) {
		start := cpu()
		body(count)
		return cpu() - start, 0
	}
}

func counters(names ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "What is counted."}, names)
}

func page(registry *prometheus.Registry) action {
	return func(count int) (time.Duration, int) {
		var buffer bytes.Buffer
		start := cpu()
		for i := 0; i < count; i++ {
			buffer.Reset()
			families, err := registry.Gather()
			if err != nil {
				panic(err)
			}
			for _, family := range families {
				if _, err := expfmt.MetricFamilyToText(&buffer, family); err != nil {
					panic(err)
				}
			}
		}
		elapsed := cpu() - start
		lines := 0
		for _, line := range bytes.Split(buffer.Bytes(), []byte("\n")) {
			if len(line) > 0 && line[0] != '#' {
				lines++
			}
		}
		return elapsed, lines
	}
}

// lazily builds the action when it is first asked for, outside the timed part.
func lazily(build func() action) action {
	var once sync.Once
	var built action
	return func(count int) (time.Duration, int) {
		once.Do(func() { built = build() })
		return built(count)
	}
}

func counterPage(series int) action {
	return lazily(func() action {
		registry := prometheus.NewRegistry()
		family := counters("product")
		registry.MustRegister(family)
		for i := 0; i < series; i++ {
			family.WithLabelValues("product" + strconv.Itoa(i)).Add(float64(i%1000 + 1))
		}
		return page(registry)
	})
}

func histogramPage(series int) action {
	return lazily(func() action {
		registry := prometheus.NewRegistry()
		family := prometheus.NewHistogramVec(
			prometheus.HistogramOpts{Name: "latency_seconds", Help: "What is timed."}, []string{"product"})
		registry.MustRegister(family)
		for i := 0; i < series; i++ {
			child := family.WithLabelValues("product" + strconv.Itoa(i))
			child.Observe(0.3)
			child.Observe(float64(i%1000) / 100)
		}
		return page(registry)
	})
}

// threads takes the time on the wall: threads wait for one another.
func threads(number int, inc func()) action {
	return func(count int) (time.Duration, int) {
		start := time.Now()
		var group sync.WaitGroup
		for t := 0; t < number; t++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for i := 0; i < count/number; i++ {
					inc()
				}
			}()
		}
		group.Wait()
		return time.Since(start), 0
	}
}

func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

// memory makes labelled counters and says how many bytes the process grew by, in the place of nanoseconds.
func memory(count int) (time.Duration, int) {
	registry := prometheus.NewRegistry()
	family := counters("product")
	registry.MustRegister(family)
	family.WithLabelValues("first").Inc()
	runtime.GC()
	before := resident()
	for i := 0; i < count; i++ {
		family.WithLabelValues("product" + strconv.Itoa(i)).Inc()
	}
	runtime.GC()
	grown := resident() - before
	runtime.KeepAlive(registry)
	return time.Duration(grown), 0
}

func main() {
	counterSeries, _ := strconv.Atoi(os.Args[1])
	histogramSeries, _ := strconv.Atoi(os.Args[2])

	plain := prometheus.NewCounter(prometheus.CounterOpts{Name: "plain_total", Help: "What is counted."})
	one := counters("product")
	three := counters("method", "path", "status")
	for i := 0; i < 100; i++ {
		one.WithLabelValues("p" + strconv.Itoa(i)).Inc()
		three.WithLabelValues("GET", "/p"+strconv.Itoa(i), "200").Inc()
	}
	products := make([]string, 1000)
	for i := range products {
		products[i] = "product" + strconv.Itoa(i)
		one.WithLabelValues(products[i]).Inc()
	}
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Help: "What is timed."})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "level", Help: "What is measured."})

	observe := func(value float64) action {
		return timed(func(count int) {
			for i := 0; i < count; i++ {
				histogram.Observe(value)
			}
		})
	}
	actions := map[string]action{
		"inc": timed(func(count int) {
			for i := 0; i < count; i++ {
				plain.Inc()
			}
		}),
		"labels": timed(func(count int) {
			for i := 0; i < count; i++ {
				one.WithLabelValues("p1").Inc()
			}
		}),
		"labels_named": timed(func(count int) {
			for i := 0; i < count; i++ {
				one.With(prometheus.Labels{"product": "p1"}).Inc()
			}
		}),
		"labels_many": timed(func(count int) {
			for i := 0; i < count; i++ {
				one.WithLabelValues(products[i%len(products)]).Inc()
			}
		}),
		"labels3": timed(func(count int) {
			for i := 0; i < count; i++ {
				three.WithLabelValues("GET", "/p1", "200").Inc()
			}
		}),
		"labels3_named": timed(func(count int) {
			for i := 0; i < count; i++ {
				three.With(prometheus.Labels{"method": "GET", "path": "/p1", "status": "200"}).Inc()
			}
		}),
		"observe":       observe(0.3),
		"observe_first": observe(0.001),
		"observe_last":  observe(1000),
		"gauge": timed(func(count int) {
			for i := 0; i < count; i++ {
				gauge.Set(1.5)
			}
		}),
		"counters":   counterPage(counterSeries),
		"histograms": histogramPage(histogramSeries),
		"memory":     memory,
	}
	for number := 1; number <= 4; number++ {
		actions["threads_inc_"+strconv.Itoa(number)] = threads(number, plain.Inc)
		actions["threads_labels_"+strconv.Itoa(number)] = threads(number, func() { one.WithLabelValues("p1").Inc() })
	}

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		act, found := actions[fields[0]]
		if !found {
			fmt.Println("unknown", fields[0])
			continue
		}
		count, _ := strconv.Atoi(fields[1])
		elapsed, written := act(count)
		fmt.Println(elapsed.Nanoseconds(), written)
	}
}
